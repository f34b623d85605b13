/** Retries that a fresh instance may make before it has made calls to earn them. */
const INITIAL = 1;

/** Retries that can be saved up, so that a long quiet time does not pay for a storm. */
const MOST = 10;

/**
 * Keeps retries to a share of calls, so that they cannot multiply an outage. Each call earns `ratio` of a retry, each
 * retry spends one; a ratio of 0 allows none.
 */
export class RetryBudget {
  private balance: number;

  constructor(private readonly ratio: number) {
    this.balance = ratio > 0 ? INITIAL : 0;
  }

  /** Notes a first call. */
  public earn(): void {
    this.balance = Math.min(MOST, this.balance + this.ratio);
  }

  /** Spends a retry where one is left. */
  public spend(): boolean {
    if (this.balance < 1) return false;
    this.balance -= 1;
    return true;
  }
}

/** First retry within this time, later ones within twice as much each. */
const FIRST_DELAY_MS = 100;

/**
 * The pause before a retry: anything between nothing and an exponentially growing limit ("full jitter"), which spreads
 * the retries of many callers evenly.
 */
export function retryDelayMs(attempt: number, random: () => number): number {
  return random() * FIRST_DELAY_MS * 2 ** (attempt - 1);
}
