/** What is left for the books after the last answer: to write results, and to give items back. */
const SETTLE_MS = 10_000;

/** A lease ends after the invocation has, by so much: clocks differ. */
const LEASE_SLACK_MS = 5000;

/** The time of one invocation. Nothing is begun in it that it could not see the end of. */
export class ShiftTime {
  private readonly total: number;
  private readonly endsAt: number;
  private readonly settleMs: number;

  /**
   * @param remainingMs until the invocation is ended
   */
  constructor(
    private readonly now: () => number,
    remainingMs: number,
  ) {
    this.total = remainingMs;
    this.endsAt = now() + remainingMs;
    this.settleMs = Math.min(SETTLE_MS, remainingMs / 10);
  }

  /** For how long an item that is claimed now is nobody else's. */
  public get leaseMs(): number {
    return Math.max(0, this.endsAt - this.now()) + LEASE_SLACK_MS;
  }

  /** How long a request may still run. */
  public get leftMs(): number {
    return Math.max(0, this.endsAt - this.settleMs - this.now());
  }

  /**
   * Whether a request may begin that takes so long at the most. Where a policy allows more than an invocation has, one may
   * begin as long as most of the invocation is left, and is broken off at its end.
   */
  public allows(longestMs: number): boolean {
    return this.leftMs >= Math.min(longestMs, this.total * 0.8);
  }
}
