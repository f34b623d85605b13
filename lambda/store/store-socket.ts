import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Argument, CommandBatch, INCOMPLETE, ProtocolFault, type Reply, ReplyError, ReplyParser } from './resp';
import type { StoreAddress } from './store-address';

/** One command as it is sent: its name and its arguments. */
export interface Request {
  readonly command: readonly Argument[];
  /** Whether its values are wanted as bytes, in place of text in UTF-8. */
  readonly asBytes: boolean;
}

/** Who waits for the replies to what was sent together. One of the two is called, once. */
export interface Exchange {
  /** All replies, in the order of the commands. A command that the store refused has an error in its place. */
  answered(replies: Reply[]): void;
  /** The connection ended before all replies were there. Whether the commands ran is unknown. */
  lost(reason: Error): void;
}

/** How one connection behaves. */
export interface SocketSettings {
  /** The most that connecting may take, TLS and `greeting` included, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Sent before all else, to sign in; the connection is open when the store has agreed to all of it. */
  readonly greeting: readonly Request[];
  /** A connection on which something stays unanswered while nothing comes for this long is given up, in milliseconds. */
  readonly silenceMs: number;
  /** PEM of the authority that the store is trusted by over TLS; else the public authorities. */
  readonly ca?: string;
}

/** An exchange that is under way. */
interface Pending {
  readonly exchange: Exchange;
  readonly requests: readonly Request[];
  readonly replies: Reply[];
}

/** Replies are small; a stored answer of 1 MiB takes a few reads more. */
const READ_BYTES = 64 * 1024;

/** With fewer exchanges than this under way there is nothing to gather: what is sent leaves at once. */
const FEW_EXCHANGES = 4;

/**
 * One TCP or TLS connection to the store, for as long as it lasts. Commands leave as they come and replies are matched
 * by their order, so any number of exchanges may be under way. While several are, all that is sent in one turn of the
 * event loop leaves in one write: a system call costs more than a command. Else it leaves before the turn goes on to what
 * else has arrived, such as the end of the request before.
 */
export class StoreSocket {
  private readonly socket: Socket;
  private readonly parser = new ReplyParser();
  private readonly batch = new CommandBatch();
  private readonly pending: Pending[] = [];
  private readonly connectTimer: NodeJS.Timeout;
  private failure: Error | undefined;
  private isOpen = false;

  /**
   * Begins to connect.
   *
   * @param opened called once when commands may be sent
   * @param closed called once when the connection has ended or was never made, and why
   */
  constructor(
    address: StoreAddress,
    private readonly settings: SocketSettings,
    private readonly opened: () => void,
    private readonly closed: (reason: Error) => void,
  ) {
    const { host, port } = address;
    // One buffer for all that is read, past Node's streams: those would allocate one for each reply.
    const onread = { buffer: Buffer.allocUnsafe(READ_BYTES), callback: this.receive };
    const shared = { host, port, noDelay: true, keepAlive: true, onread };
    const { ca } = settings;
    this.socket = address.tls
      ? connectTls({ ...shared, ...(ca !== undefined && { ca }), ...(isIP(host) === 0 && { servername: host }) })
      : connect(shared);
    this.socket
      .once(address.tls ? 'secureConnect' : 'connect', this.greet)
      .on('error', this.fail)
      .once('end', () => {
        this.fail(new Error('the store closed the connection'));
      })
      .once('close', () => {
        this.fail(new Error('the connection is closed'));
      });
    this.connectTimer = setTimeout(() => {
      this.fail(new Error(`no connection within ${settings.connectTimeoutMs} ms`));
    }, settings.connectTimeoutMs);
  }

  /** Whether commands can be sent. */
  public get usable(): boolean {
    return this.isOpen;
  }

  /** Sends commands together; on a connection that is not open they are lost at once. */
  public send(requests: readonly Request[], exchange: Exchange): void {
    if (!this.isOpen) {
      exchange.lost(this.failure ?? new Error('not connected'));
      return;
    }
    if (requests.length === 0) {
      exchange.answered([]);
      return;
    }
    this.enqueue(requests, exchange);
  }

  /** Ends the connection; what is under way is lost. */
  public close(reason = new Error('the connection is closed')): void {
    this.fail(reason);
  }

  private enqueue(requests: readonly Request[], exchange: Exchange): void {
    if (this.batch.isEmpty) {
      if (this.pending.length < FEW_EXCHANGES) process.nextTick(this.flush);
      else setImmediate(this.flush);
    }
    for (const { command } of requests) this.batch.add(command);
    this.pending.push({ exchange, requests, replies: [] });
  }

  private readonly greet = () => {
    const { greeting } = this.settings;
    if (this.failure) return;
    if (greeting.length === 0) {
      this.open();
      return;
    }
    this.enqueue(greeting, {
      answered: (replies) => {
        const refusal = replies.find((reply) => reply instanceof ReplyError);
        if (refusal) this.fail(refusal);
        else this.open();
      },
      // `closed` tells of it.
      lost: () => undefined,
    });
  };

  private open(): void {
    clearTimeout(this.connectTimer);
    this.isOpen = true;
    // Node starts this clock anew with each read and each write, and has it stop no process from ending.
    this.socket.setTimeout(this.settings.silenceMs).on('timeout', () => {
      if (this.pending.length > 0) this.fail(new Error(`no reply within ${this.settings.silenceMs} ms`));
    });
    this.opened();
  }

  private readonly flush = () => {
    if (this.failure || this.batch.isEmpty) return;
    this.batch.sendTo((data, encoding) => this.socket.write(data, encoding));
  };

  /** Nothing in here may write: over TLS a write can read, into the very bytes that are being parsed. */
  private readonly receive = (count: number, bytes: Uint8Array): boolean => {
    if (this.failure) return false;
    try {
      this.parser.push(Buffer.from(bytes.buffer, bytes.byteOffset, count));
      this.matchReplies();
    } catch (error) {
      if (!(error instanceof ProtocolFault)) throw error;
      this.fail(error);
    }
    return true;
  };

  private matchReplies(): void {
    for (let head = this.pending[0]; head; head = this.pending[0]) {
      const { exchange, requests, replies } = head;
      while (replies.length < requests.length) {
        const reply = this.parser.read(requests[replies.length]?.asBytes);
        if (reply === INCOMPLETE) return;
        replies.push(reply);
      }
      this.pending.shift();
      exchange.answered(replies);
    }
    if (this.parser.hasRest) throw new ProtocolFault('there is more than was asked for');
  }

  /** The first reason is the one that counts. */
  private readonly fail = (reason: Error) => {
    if (this.failure) return;
    this.failure = reason;
    this.isOpen = false;
    clearTimeout(this.connectTimer);
    this.socket.destroy();
    for (const { exchange } of this.pending.splice(0)) exchange.lost(reason);
    this.closed(reason);
  };
}
