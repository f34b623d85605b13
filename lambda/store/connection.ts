import Valkey, { Command as ClientCommand } from 'iovalkey';
import { StoreLost } from '../gateway/request-store';
import type { Script } from './scripts';

/** One command of a trip: a script, fields of a hash, or any other command by its name, such as `FT.SEARCH`. */
export type Command =
  | { readonly script: Script; readonly keys: readonly string[]; readonly args: readonly string[] }
  | { readonly read: 'hmget'; readonly key: string; readonly fields: readonly string[] }
  | { readonly call: string; readonly args: readonly (string | Buffer)[] };

/** Where the store is and how long it may take. */
export interface ConnectionSettings {
  /** `redis://host:port`, or `rediss://` for TLS. */
  readonly url: string;
  /** The most that a trip may take, in milliseconds. */
  readonly timeoutMs: number;
  /** The most that the first trips wait for the connection, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Signs in with a fresh password each time that it is asked; undefined for a store without users. */
  readonly credentials?: () => Promise<{ readonly username: string; readonly password: string }>;
  /** Told when the connection is lost and why. */
  readonly onError: (error: Error) => void;
}

/** IAM sign-ins end after 12 hours; a renewal at 8 leaves time for retries. */
const RENEW_SIGN_IN_MS = 8 * 3_600_000;

/** Pause before a lost connection is tried again: short at first, and at most this long. */
const MOST_PAUSE_MS = 2000;

/** A connection on which commands stay unanswered for this long is given up. */
const SILENCE_MS = 2000;

/** Sends commands in one trip and never waits longer than the time-out. */
export class StoreConnection {
  private readonly client: Valkey;
  private readonly firstAttempt: Promise<void>;
  private failedAttempts = 0;
  private closing = false;
  private reconnection: NodeJS.Timeout | undefined;
  private renewal: Promise<void> | undefined;
  private signedInAt = 0;
  private lateTrips = 0;

  constructor(private readonly settings: ConnectionSettings) {
    this.client = new Valkey(settings.url, {
      lazyConnect: true,
      connectTimeout: settings.connectTimeoutMs,
      // A host that vanished says nothing; without this, its connection would be believed in for a quarter of an hour.
      socketTimeout: SILENCE_MS,
      // A command fails at once when the connection is down: the caller has a way on without the store.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      enableReadyCheck: false,
      // The client would try again with a password that has long expired; `connect` fetches a fresh one.
      retryStrategy: () => null,
      ...(settings.url.startsWith('rediss:') && { tls: {} }),
    });
    // Without a listener, a lost connection would end the process.
    this.client.on('error', settings.onError);
    this.client.on('ready', () => (this.failedAttempts = 0));
    this.client.on('end', () => {
      this.connectLater();
    });
    this.firstAttempt = this.connect();
  }

  /**
   * Sends commands together and returns their replies in order.
   *
   * @throws StoreLost where the store cannot be reached, fails or takes too long
   */
  public async trip(commands: readonly Command[]): Promise<unknown[]> {
    let sent: Promise<unknown[]> | undefined;
    try {
      await this.ready();
      sent = this.send(commands);
      return await within(this.settings.timeoutMs, sent);
    } catch (error) {
      if (sent) this.waitOut(sent);
      throw error instanceof StoreLost ? error : new StoreLost(error);
    }
  }

  /** Counts a trip as late until its replies come after all, or the connection is given up. */
  private waitOut(sent: Promise<unknown>): void {
    this.lateTrips += 1;
    const over = () => (this.lateTrips -= 1);
    sent.then(over, over);
  }

  /** Closes the connection for good. */
  public close(): void {
    this.closing = true;
    clearTimeout(this.reconnection);
    this.client.disconnect();
  }

  /** Tries once; a failure is told and tried again later, and never thrown. */
  private async connect(): Promise<void> {
    try {
      await this.signIn();
      await this.client.connect();
    } catch (error) {
      this.settings.onError(error as Error);
      this.connectLater();
    }
  }

  private connectLater(): void {
    if (this.closing) return;
    const pause = Math.min(MOST_PAUSE_MS, 25 * 2 ** Math.min(this.failedAttempts++, 10));
    clearTimeout(this.reconnection);
    this.reconnection = setTimeout(() => void this.connect(), pause);
    this.reconnection.unref();
  }

  /** At a cold start, waits for the first connection; a connection that is lost later is a loss at once. */
  private async ready(): Promise<void> {
    if (!this.isReady()) {
      await within(this.settings.connectTimeoutMs, this.firstAttempt);
      if (!this.isReady()) throw new StoreLost('not connected', true);
    }
    // What is sent to a store that stalls runs when it goes on, after nobody waits for it any more.
    if (this.lateTrips > 0) throw new StoreLost('it has yet to answer what it was sent before', true);
    if (this.settings.credentials && performance.now() - this.signedInAt > RENEW_SIGN_IN_MS) this.renewSignIn();
  }

  private isReady(): boolean {
    return this.client.status === 'ready';
  }

  /** Beside the request at hand: the old sign-in is good for hours yet. */
  private renewSignIn(): void {
    this.renewal ??= this.signIn()
      .then(async () => {
        const { username, password } = this.client.options;
        await this.client.auth(username ?? '', password ?? '');
      })
      .catch(this.settings.onError)
      .finally(() => (this.renewal = undefined));
  }

  /** Fetches a fresh password, with which the client connects next. */
  private async signIn(): Promise<void> {
    if (!this.settings.credentials) return;
    const { username, password } = await this.settings.credentials();
    Object.assign(this.client.options, { username, password });
    this.signedInAt = performance.now();
  }

  private async send(commands: readonly Command[]): Promise<unknown[]> {
    const replies = await this.exchange(commands, 'evalsha');
    // A store forgets scripts at a failover; those that it does not know are sent again in full. They have not run.
    const forgotten = commands.filter((_, i) => isUnknownScript(replies[i]));
    if (forgotten.length > 0) {
      const again = await this.exchange(forgotten, 'eval');
      commands.forEach((command, i) => {
        if (isUnknownScript(replies[i])) replies[i] = again[forgotten.indexOf(command)];
      });
    }
    const failure = replies.find((reply) => reply instanceof Error);
    if (failure) throw failure;
    return replies;
  }

  private exchange(commands: readonly Command[], by: 'evalsha' | 'eval'): Promise<unknown[]> {
    this.gatherWrites();
    return Promise.all(
      commands.map((command) =>
        (this.client.sendCommand(clientCommand(command, by)) as Promise<unknown>).catch((error: unknown) => error),
      ),
    );
  }

  /** All that is sent in this turn of the event loop leaves in one write: a system call costs more than a command. */
  private gatherWrites(): void {
    const { stream } = this.client;
    if (stream.writableCorked > 0) return;
    stream.cork();
    setImmediate(() => {
      stream.uncork();
    });
  }
}

function clientCommand(command: Command, by: 'evalsha' | 'eval'): ClientCommand {
  const encoding = { replyEncoding: 'utf8' as const };
  if ('read' in command) return new ClientCommand('hmget', [command.key, ...command.fields], encoding);
  if ('call' in command) return new ClientCommand(command.call, [...command.args], encoding);
  const { script, keys, args } = command;
  const code = by === 'eval' ? script.text : script.sha1;
  return new ClientCommand(by, [code, String(keys.length), ...keys, ...args], encoding);
}

function isUnknownScript(reply: unknown): boolean {
  return reply instanceof Error && reply.message.startsWith('NOSCRIPT');
}

/** Fails after so long. The late reply is dropped; a late failure is no fault of anyone's. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreLost(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
