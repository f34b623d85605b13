import { BackendFailure, type CallSignal } from '../gateway/backend-port';

/** How long each part of a call may take, in milliseconds. */
export interface CallTimes {
  readonly connectMs: number;
  readonly firstByteMs: number;
  /** Longest silence after the first byte. */
  readonly idleMs: number;
  readonly totalMs: number;
}

/**
 * The clocks of one call, and the client's hang-up. The first of them ends the call and is the reason that is told. One
 * timer looks after all of them: what happens in between only notes the time, since a stream has thousands of chunks.
 */
export class CallLimits {
  /** Why the call was ended; undefined while it was not. */
  public reason: BackendFailure | undefined;
  private readonly started = performance.now();
  private timer: NodeJS.Timeout | undefined;
  private connectTimer: NodeJS.Timeout | undefined;
  /** When the last chunk came, or the reader was ready for more; undefined before the first. */
  private lastAt: number | undefined;
  private isHeldUp = false;

  /** @param end called once, with the reason, when the call is to be ended */
  constructor(
    private readonly times: CallTimes,
    private readonly signal: CallSignal,
    private readonly end: (reason: BackendFailure) => void,
  ) {
    if (signal.aborted) setImmediate(this.abandon);
    else signal.addEventListener('abort', this.abandon);
    this.timer = setTimeout(this.check, Math.min(times.firstByteMs, times.idleMs, times.totalMs));
  }

  /** The call has to wait for a new connection. */
  public connecting(): void {
    const { connectMs } = this.times;
    this.connectTimer = setTimeout(() => {
      this.stop(new BackendFailure('timeout', `no connection within ${connectMs} ms`));
    }, connectMs);
  }

  /** The connection is there. */
  public connected(): void {
    clearTimeout(this.connectTimer);
  }

  /** A part of the body has come. */
  public received(): void {
    this.lastAt = performance.now();
  }

  /** The backend is kept from sending because the reader is slow; its silence is no fault of its own then. */
  public heldUp(isHeldUp: boolean): void {
    this.isHeldUp = isHeldUp;
    this.lastAt = performance.now();
  }

  /** The call is over. */
  public clear(): void {
    clearTimeout(this.timer);
    clearTimeout(this.connectTimer);
    this.timer = undefined;
    this.signal.removeEventListener('abort', this.abandon);
  }

  private readonly check = () => {
    const { firstByteMs, idleMs, totalMs } = this.times;
    const now = performance.now();
    if (this.isHeldUp) this.lastAt = now;
    const total = { left: this.started + totalMs - now, what: `no end of the answer within ${totalMs} ms` };
    const next =
      this.lastAt === undefined
        ? { left: this.started + firstByteMs - now, what: `no first byte within ${firstByteMs} ms` }
        : { left: this.lastAt + idleMs - now, what: `nothing more within ${idleMs} ms` };
    const nearest = next.left < total.left ? next : total;
    // A timer may run a fraction of a millisecond early.
    if (nearest.left < 1) this.stop(new BackendFailure('timeout', nearest.what));
    else this.timer = setTimeout(this.check, Math.ceil(nearest.left));
  };

  private readonly abandon = () => {
    this.stop(new BackendFailure('abandoned', 'the client is gone'));
  };

  private stop(reason: BackendFailure): void {
    if (this.reason) return;
    this.reason = reason;
    this.clear();
    this.end(reason);
  }
}
