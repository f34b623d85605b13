/** A token bucket, as API Gateway throttles: `burst` requests at once, refilled at `ratePerSecond`. */
export class TokenBucket {
  private tokens: number;
  private refilledAt: number;

  /** @param nowMs the time at which the bucket is full */
  public constructor(
    private readonly ratePerSecond: number,
    private readonly burst: number,
    nowMs: number,
  ) {
    this.tokens = burst;
    this.refilledAt = nowMs;
  }

  /** Takes one token where there is one. */
  public take(nowMs: number): boolean {
    const seconds = Math.max(0, nowMs - this.refilledAt) / 1000;
    this.tokens = Math.min(this.burst, this.tokens + seconds * this.ratePerSecond);
    this.refilledAt = nowMs;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}
