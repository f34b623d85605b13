import type { CacheEntry } from '../caching/entry';
import type { FinishedCall } from '../fault-tolerance/route';
import type { AdmitRequest, RequestStore, Transition } from './request-store';

/** What came of a request. */
export interface Result {
  /** Tokens that it used in truth. */
  readonly tokens: number;
  readonly calls: readonly FinishedCall[];
  readonly entry?: CacheEntry;
}

/** What one admitted request holds in the store until it is settled, once. */
export class Reservation {
  private settlement: Promise<readonly Transition[]> | undefined;

  constructor(
    private readonly store: RequestStore,
    private readonly admitted: AdmitRequest,
  ) {}

  /**
   * Settles with the store that admitted the request. Only the first call counts. Where the store is lost by then, the
   * reservation stands as the charge, and the slot frees itself when its lease ends.
   */
  public settle({ tokens, calls, entry }: Result): Promise<readonly Transition[]> {
    this.settlement ??= this.store.settle({
      admitted: this.admitted,
      tokenDifference: tokens - this.admitted.tokens,
      outcomes: calls.map((call) => ({ id: this.admitted.id, ...call })),
      ...(entry && { entry }),
    });
    return this.settlement;
  }
}
