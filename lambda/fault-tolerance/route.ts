import type { ResolvedBackend } from '../../lib/policy/defaults';
import type { Claim, Outcome } from '../circuit-breaking/breaker';
import { retryDelayMs } from './retry-budget';

/** Why a backend was passed over: what the client reads in `x-fallback`. */
export type FallbackReason = 'circuit_open' | 'backend_error' | 'timeout' | 'backend_busy';

/** What came of one attempt. */
export type Attempt<Answer, Refusal> =
  /** An answer for the client. Its outcome is known when its last byte has passed. */
  | { readonly kind: 'answered'; readonly answer: Answer }
  /** The backend found fault with the request: no other backend is asked. */
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | {
      readonly kind: 'failed';
      readonly reason: FallbackReason;
      readonly outcome: Outcome;
      readonly retriable: boolean;
    }
  /** The client is gone. */
  | { readonly kind: 'abandoned' };

/** A call that is over, for the backend's breaker. */
export interface FinishedCall {
  readonly backend: ResolvedBackend;
  readonly probe: boolean;
  readonly outcome: Outcome;
}

/** How the chain was gone through. */
export interface Route<Answer, Refusal> {
  readonly end:
    | { readonly kind: 'answered'; readonly answer: Answer; readonly backend: ResolvedBackend; readonly probe: boolean }
    | { readonly kind: 'refused'; readonly refusal: Refusal; readonly backend: ResolvedBackend }
    | { readonly kind: 'abandoned' }
    /** Every backend failed or was passed over; the reason is the last one's. */
    | { readonly kind: 'exhausted'; readonly reason: FallbackReason };
  /** Why the first choice did not answer; undefined where it did. */
  readonly fallback?: FallbackReason;
  readonly finished: readonly FinishedCall[];
  readonly retries: number;
}

/** What routing needs from outside. */
export interface RoutePorts<Answer, Refusal> {
  /** Asks a backend's breaker. */
  readonly permission: (backend: ResolvedBackend) => Promise<Claim>;
  readonly attempt: (backend: ResolvedBackend) => Promise<Attempt<Answer, Refusal>>;
  readonly budget: (backend: ResolvedBackend) => { earn(): void; spend(): boolean };
  readonly pause: (ms: number) => Promise<void>;
  readonly random: () => number;
}

/** Goes down a model's chain until a backend answers: retries within the budget on one, then the next. */
export async function route<Answer, Refusal>(
  chain: readonly ResolvedBackend[],
  ports: RoutePorts<Answer, Refusal>,
): Promise<Route<Answer, Refusal>> {
  const finished: FinishedCall[] = [];
  let fallback: FallbackReason | undefined;
  let reason: FallbackReason = 'backend_error';
  let retries = 0;
  for (const backend of chain) {
    const permission = await ports.permission(backend);
    if (permission === 'refused') {
      reason = 'circuit_open';
      fallback ??= reason;
      continue;
    }
    const probe = permission === 'permit';
    ports.budget(backend).earn();
    for (let attempt = 1; ; attempt++) {
      const result = await ports.attempt(backend);
      const passed = { finished, retries, ...(fallback && { fallback }) };
      if (result.kind === 'answered') {
        return { end: { kind: 'answered', answer: result.answer, backend, probe }, ...passed };
      }
      if (result.kind !== 'failed') {
        finished.push({ backend, probe, outcome: 'ignored' });
        return { end: result.kind === 'refused' ? { ...result, backend } : result, ...passed };
      }
      finished.push({ backend, probe, outcome: result.outcome });
      reason = result.reason;
      // A permit is for one call.
      const mayRetry = result.retriable && !probe && attempt <= backend.retries.max;
      if (!mayRetry || !ports.budget(backend).spend()) break;
      retries += 1;
      await ports.pause(retryDelayMs(attempt, ports.random));
    }
    fallback ??= reason;
  }
  return { end: { kind: 'exhausted', reason }, ...(fallback && { fallback }), finished, retries };
}
