import { StoreLost } from '../gateway/request-store';
import { Deadlines } from './deadlines';
import { type Command, PendingTrip } from './pending-trip';
import { ReplyError } from './resp';
import { type StoreAddress, storeAddress } from './store-address';
import { type Request, StoreSocket } from './store-socket';

export type { Command } from './pending-trip';

/** Who signs in. */
interface SignIn {
  readonly username?: string;
  readonly password?: string;
}

/** Where the store is and how long it may take. */
export interface ConnectionSettings {
  /** `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. */
  readonly url: string;
  /** The most that a trip may take, in milliseconds. */
  readonly timeoutMs: number;
  /** The most that the first trips wait for the connection, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** PEM of the authority that the store is trusted by over TLS; else the public authorities. */
  readonly ca?: string;
  /** Signs in with a fresh password each time that it is asked; undefined for who the URL names, or nobody. */
  readonly credentials?: () => Promise<{ readonly username: string; readonly password: string }>;
  /** Told when the connection is lost or cannot be made, and why. */
  readonly onError: (error: Error) => void;
}

/** IAM sign-ins end after 12 hours; a renewal at 8 leaves time for retries. */
const RENEW_SIGN_IN_MS = 8 * 3_600_000;
const RETRY_SIGN_IN_MS = 10 * 60_000;

/** Pause before a lost connection is tried again: short at first, and at most this long. */
const SHORTEST_PAUSE_MS = 25;
const MOST_PAUSE_MS = 2000;

/** A connection on which commands stay unanswered for this long is given up. */
const SILENCE_MS = 2000;

/** Sends commands in one trip and never waits longer than the time-out. */
export class StoreConnection {
  private readonly address: StoreAddress;
  private readonly firstAttempt: Promise<void>;
  private readonly deadlines: Deadlines<PendingTrip>;
  private readonly lateTrips = new Set<PendingTrip>();
  private socket: StoreSocket | undefined;
  private hasTried = false;
  private failedAttempts = 0;
  private isClosed = false;
  private reconnection: NodeJS.Timeout | undefined;
  private renewSignInAt = Infinity;

  /** @throws Error where the URL is none of a store */
  constructor(private readonly settings: ConnectionSettings) {
    this.address = storeAddress(settings.url);
    this.deadlines = new Deadlines(settings.timeoutMs, (trip) => {
      this.lateTrips.add(trip);
      trip.expire(settings.timeoutMs);
    });
    this.firstAttempt = this.connect().then(() => {
      this.hasTried = true;
    });
  }

  /**
   * Sends commands together and returns their replies in order.
   *
   * @throws StoreLost where the store cannot be reached, fails or takes too long
   */
  public trip(commands: readonly Command[]): Promise<unknown[]> {
    const { socket } = this;
    return socket?.usable ? this.send(socket, commands) : this.sendOnceConnected(commands);
  }

  /** Closes the connection for good. */
  public close(): void {
    this.isClosed = true;
    clearTimeout(this.reconnection);
    this.socket?.close();
    this.deadlines.clear();
  }

  private send(socket: StoreSocket, commands: readonly Command[]): Promise<unknown[]> {
    // What is sent to a store that stalls runs when it goes on, after nobody waits for it any more.
    if (this.lateTrips.size > 0) {
      return Promise.reject(new StoreLost('it has yet to answer what it was sent before', true));
    }
    if (Date.now() > this.renewSignInAt) void this.renewSignIn(socket);
    return new Promise((resolve, reject) => {
      const trip = new PendingTrip(socket, commands, { resolve, reject, over: this.over });
      this.deadlines.begin(trip);
      trip.start();
    });
  }

  /** At a cold start, waits for the first connection; a connection that is lost later is a loss at once. */
  private async sendOnceConnected(commands: readonly Command[]): Promise<unknown[]> {
    if (!this.hasTried) await this.firstConnection();
    const { socket } = this;
    if (!socket?.usable) throw new StoreLost('not connected', true);
    return this.send(socket, commands);
  }

  private async firstConnection(): Promise<void> {
    const ms = this.settings.connectTimeoutMs;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new StoreLost(`no connection within ${ms} ms`, true)), ms);
    });
    try {
      await Promise.race([this.firstAttempt, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A late trip counts until its replies come after all, or the connection is given up. */
  private readonly over = (trip: PendingTrip) => {
    this.deadlines.end(trip);
    this.lateTrips.delete(trip);
  };

  /** Tries once; a failure is told and tried again later, and never thrown. */
  private async connect(): Promise<void> {
    const { connectTimeoutMs, ca } = this.settings;
    try {
      const greeting = greetingOf(await this.signIn(), this.address.database);
      if (this.isClosed) return;
      const settings = { connectTimeoutMs, silenceMs: SILENCE_MS, greeting, ...(ca !== undefined && { ca }) };
      await new Promise<void>((settle) => {
        const opened = () => {
          this.failedAttempts = 0;
          settle();
        };
        const closed = (reason: Error) => {
          this.connectLater(reason);
          settle();
        };
        this.socket = new StoreSocket(this.address, settings, opened, closed);
      });
    } catch (error) {
      this.connectLater(error as Error);
    }
  }

  private connectLater(reason: Error): void {
    if (this.isClosed) return;
    this.settings.onError(reason);
    const pause = Math.min(MOST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** Math.min(this.failedAttempts++, 10));
    this.reconnection = setTimeout(() => void this.connect(), pause);
    this.reconnection.unref();
  }

  /** Who to sign in as, with a fresh password where they end. */
  private async signIn(): Promise<SignIn> {
    const { credentials } = this.settings;
    if (!credentials) return this.address;
    const signIn = await credentials();
    this.renewSignInAt = Date.now() + RENEW_SIGN_IN_MS;
    return signIn;
  }

  /** Beside the request at hand: the old sign-in is good for hours yet. */
  private async renewSignIn(socket: StoreSocket): Promise<void> {
    this.renewSignInAt = Infinity;
    try {
      const greeting = greetingOf(await this.signIn());
      this.renewSignInAt = Infinity;
      await new Promise<void>((resolve, reject) => {
        socket.send(greeting, {
          answered: ([reply]) => {
            if (reply instanceof ReplyError) reject(reply);
            else resolve();
          },
          // The next connection signs in anew.
          lost: () => {
            resolve();
          },
        });
      });
      this.renewSignInAt = Date.now() + RENEW_SIGN_IN_MS;
    } catch (error) {
      this.renewSignInAt = Date.now() + RETRY_SIGN_IN_MS;
      this.settings.onError(error as Error);
    }
  }
}

function greetingOf({ username, password }: SignIn, database?: number): Request[] {
  // Of a store with one password and no users, the password is all that is told.
  const who = username === undefined ? [] : [username];
  return [
    ...(password === undefined ? [] : [{ command: ['auth', ...who, password], asBytes: false }]),
    ...(database === undefined ? [] : [{ command: ['select', String(database)], asBytes: false }]),
  ];
}
