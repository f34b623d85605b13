import type { RequestRecord } from '../../observability/request-record';
import type { PutOff } from './deferral';

/** What the gateway's answer means for an item. */
export type Verdict =
  /** It is the item's result, whatever its status: the answer, or what is wrong with the request. */
  | { readonly kind: 'result' }
  /** Nothing was computed for now: a limit is spent, a breaker is open, there is no room. */
  | { readonly kind: 'refused'; readonly retryAfterMs?: number }
  /** Backends failed at it, or it ran out of time. */
  | { readonly kind: 'failed'; readonly retryAfterMs?: number };

/** What a request came to that was made for an item. */
export function verdictOf(status: number, record: RequestRecord): Verdict {
  const { refusedBy, retryAfterMs, failedCalls } = record;
  const when: Pick<PutOff, 'retryAfterMs'> = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (refusedBy !== undefined) return { kind: 'refused', ...when };
  if (record.hungUp || status === 0) return { kind: 'failed' };
  if (status < 500 && status !== 429 && status !== 409) return { kind: 'result' };
  // Without the store, nothing may run uncounted; without a free breaker, nobody was asked.
  const isUnasked = record.errorCode === 'store_unavailable' || failedCalls === 0;
  return { kind: isUnasked ? 'refused' : 'failed', ...when };
}
