import type { CacheEntry } from '../caching/entry';
import type { FinishedCall } from '../fault-tolerance/route';
import type { AdmitRequest, RequestStore, Tokens, Transition } from './request-store';

/** What came of a request. */
export interface Result {
  /** Tokens that it used in truth. */
  readonly used: Tokens;
  readonly calls: readonly FinishedCall[];
  readonly entry?: CacheEntry;
}

/** What one admitted request holds in the store until it is settled, once. */
export class Reservation {
  /** Whether it was settled with an answer to store. */
  public hasEntry = false;
  private settlement: Promise<readonly Transition[]> | undefined;

  constructor(
    private readonly store: RequestStore,
    private readonly admitted: AdmitRequest,
    private readonly loadedAt: string | undefined,
  ) {}

  /**
   * Settles with the store that admitted the request. Only the first call counts. Where the store is lost by then, the
   * reservation stands as the charge, and the slot frees itself when its lease ends.
   */
  public settle({ used, calls, entry }: Result): Promise<readonly Transition[]> {
    this.hasEntry ||= entry !== undefined && this.settlement === undefined;
    this.settlement ??= this.store.settle({
      admitted: this.admitted,
      used,
      outcomes: calls.map((call) => ({ id: this.admitted.id, ...call })),
      ...(this.loadedAt !== undefined && { loadedAt: this.loadedAt }),
      ...(entry && { entry }),
    });
    return this.settlement;
  }
}
