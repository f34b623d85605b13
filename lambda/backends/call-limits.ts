import type { ClientRequest } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { BackendFailure, type CallSignal } from '../gateway/backend-port';

/** How long each part of a call may take, in milliseconds. */
export interface CallTimes {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly totalMs: number;
}

/** The clocks of one call, and the client's hang-up. The first of them ends the call and is the reason that is told. */
export class CallLimits {
  /** Why the call was ended; undefined while it was not. */
  public reason: BackendFailure | undefined;
  private readonly total: NodeJS.Timeout;
  private readonly firstByte: NodeJS.Timeout | undefined;
  private connect: NodeJS.Timeout | undefined;

  constructor(
    private readonly request: ClientRequest,
    { connectMs, firstByteMs, totalMs }: CallTimes,
    private readonly signal: CallSignal,
  ) {
    if (signal.aborted) setImmediate(this.abandon);
    else signal.addEventListener('abort', this.abandon);
    this.total = this.stopAfter(totalMs, 'no end of the answer');
    // The total limit alone is enough where it comes first.
    if (firstByteMs < totalMs) this.firstByte = this.stopAfter(firstByteMs, 'no first byte');
    this.limitConnecting(connectMs);
  }

  /** The first byte has come. */
  public begun(): void {
    clearTimeout(this.firstByte);
  }

  /** The call is over. */
  public clear(): void {
    clearTimeout(this.total);
    clearTimeout(this.firstByte);
    clearTimeout(this.connect);
    this.signal.removeEventListener('abort', this.abandon);
  }

  private limitConnecting(connectMs: number): void {
    this.request.once('socket', (socket) => {
      if (!socket.connecting) return;
      this.connect = this.stopAfter(connectMs, 'no connection');
      const event = (socket as Partial<TLSSocket>).encrypted ? 'secureConnect' : 'connect';
      socket.once(event, () => {
        clearTimeout(this.connect);
      });
    });
  }

  private stopAfter(ms: number, what: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.stop(new BackendFailure('timeout', `${what} within ${ms} ms`));
    }, ms);
  }

  private readonly abandon = () => {
    this.stop(new BackendFailure('abandoned', 'the client is gone'));
  };

  private stop(reason: BackendFailure): void {
    this.reason ??= reason;
    this.request.destroy(this.reason);
  }
}
