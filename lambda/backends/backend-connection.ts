import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestText } from './request-text';
import { HttpFault, ResponseParser, type ResponseSink, type ReusePermission } from './response-parser';

/** How far a call had come when its connection was lost. */
export type Progress = 'connecting' | 'unanswered' | 'answering';

/** Who makes a call over a connection. */
export interface Caller {
  head(status: number, headers: IncomingHttpHeaders): void;
  /** A part of the body, for the caller to keep. */
  chunk(bytes: Buffer): void;
  end(): void;
  /** There is no end: the connection was lost. Called once, in place of `end`. */
  lost(reason: Error, progress: Progress): void;
}

/** Told when a connection may carry the next call, or none any more. */
export interface Owner {
  free(connection: BackendConnection): void;
  gone(connection: BackendConnection): void;
}

/** Where a socket puts what it reads, past Node's streams: those would allocate a buffer for each part. */
export interface Reading {
  readonly buffer: Uint8Array;
  readonly callback: (count: number, bytes: Uint8Array) => boolean;
}

const READ_BYTES = 64 * 1024;

/**
 * One connection to a backend, for one call at a time: `node:http`'s client without what a gateway has no use for. A call
 * takes 13 µs of the processor's time, and 38 there (32 calls under way, on Node 20 and 24 alike).
 */
export class BackendConnection implements ResponseSink {
  /** Whether it has carried a call before. A server may close a kept connection at any time, also as a call arrives. */
  public reused = false;
  private readonly socket: Socket;
  private caller: Caller | undefined;
  private parser: ResponseParser | undefined;
  private isConnected = false;
  private isGone = false;
  private isPaused = false;
  private connected: (() => void) | undefined;
  /** When the server may close it, by the clock on the wall: a frozen function's other clocks may stand still. */
  private keptUntil = Infinity;

  /**
   * @param open begins to connect
   * @param readyEvent the socket's event after which requests can be sent
   */
  constructor(
    open: (reading: Reading) => Socket,
    readyEvent: 'connect' | 'secureConnect',
    private readonly owner: Owner,
  ) {
    this.socket = open({ buffer: Buffer.allocUnsafe(READ_BYTES), callback: this.receive })
      .once(readyEvent, () => {
        this.isConnected = true;
        this.connected?.();
      })
      .on('error', this.lose)
      .once('end', this.ended)
      .once('close', () => {
        this.lose(new Error('the connection was closed'));
      });
  }

  /** Whether a server that said how long it keeps the connection still does, with a second to spare for the way. */
  public get isKept(): boolean {
    return !this.isGone && Date.now() < this.keptUntil;
  }

  /**
   * Makes a call.
   *
   * @param connected called if the connection has to be made first, once it is
   * @returns whether it has to be made first
   */
  public send(request: RequestText, caller: Caller, connected: () => void): boolean {
    this.caller = caller;
    this.connected = connected;
    this.parser = new ResponseParser(this);
    this.socket.ref();
    // Before the connection is there, the socket keeps it.
    this.socket.write(request.text, request.encoding);
    return !this.isConnected;
  }

  /** Holds the backend up. */
  public pause(): void {
    this.isPaused = true;
    this.socket.pause();
  }

  /** Lets it go on. */
  public resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.socket.resume();
  }

  /** Ends the connection, and the call that it carries. */
  public destroy(reason = new Error('the connection was given up')): void {
    this.lose(reason);
  }

  /** {@inheritDoc ResponseSink.head} */
  public head(status: number, headers: IncomingHttpHeaders): void {
    this.caller?.head(status, headers);
  }

  /** {@inheritDoc ResponseSink.chunk} */
  public chunk(bytes: Buffer): void {
    this.caller?.chunk(Buffer.from(bytes));
  }

  /** {@inheritDoc ResponseSink.end} */
  public end(reusable: ReusePermission | undefined): void {
    const { caller } = this;
    this.caller = undefined;
    this.connected = undefined;
    this.parser = undefined;
    // An answer that came before the request had left is an answer; what is left of the request is not worth sending.
    if (reusable && this.socket.writableLength === 0 && !this.isGone) {
      this.reused = true;
      // The last bytes may have been those for which the reader held it up.
      this.resume();
      this.keptUntil = reusable.keptMs === undefined ? Infinity : Date.now() + reusable.keptMs - 1000;
      // A connection that waits for calls keeps no process from ending.
      this.socket.unref();
      this.owner.free(this);
    } else {
      this.destroy();
    }
    caller?.end();
  }

  /** Nothing in here may write: over TLS a write can read, into the very bytes that are being parsed. */
  private readonly receive = (count: number, bytes: Uint8Array): boolean => {
    if (this.isGone) return false;
    if (!this.parser) {
      this.lose(new Error('the backend spoke unasked'));
      return false;
    }
    try {
      this.parser.push(Buffer.from(bytes.buffer, bytes.byteOffset, count));
    } catch (error) {
      if (!(error instanceof HttpFault)) throw error;
      this.lose(error);
    }
    return true;
  };

  private readonly ended = () => {
    try {
      this.parser?.close();
    } catch (error) {
      this.lose(error as Error);
    }
    this.lose(new Error('the backend closed the connection'));
  };

  /** The first reason is the one that counts. */
  private readonly lose = (reason: Error) => {
    if (this.isGone) return;
    this.isGone = true;
    this.socket.destroy();
    this.owner.gone(this);
    const { caller } = this;
    this.caller = undefined;
    caller?.lost(reason, !this.isConnected ? 'connecting' : this.parser?.hasBegun ? 'answering' : 'unanswered');
  };
}
