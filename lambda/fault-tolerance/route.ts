import type { ResolvedBackend } from '../../lib/policy/defaults';
import type { Claim } from '../circuit-breaking/breaker';
import type { Outcome } from '../circuit-breaking/outcome-window';
import type { CallSignal } from '../gateway/backend-port';
import { type Race, race, type Timer } from './hedge';
import { retryDelayMs } from './retry-budget';

/** Why a backend was passed over: what the client reads in `x-fallback`. */
export type FallbackReason = 'circuit_open' | 'backend_error' | 'timeout' | 'backend_busy' | 'not_supported';

/** What came of one attempt. */
export type Attempt<Answer, Refusal> =
  /** An answer for the client. Its outcome is known when its last byte has passed. */
  | { readonly kind: 'answered'; readonly answer: Answer }
  /** The backend found fault with the request: no other backend is asked. */
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** The backend cannot do what the request asks for. No failure of its own; where no other can, the client is told. */
  | { readonly kind: 'unsuited'; readonly refusal: Refusal }
  | {
      readonly kind: 'failed';
      readonly reason: FallbackReason;
      readonly outcome: Outcome;
      readonly retriable: boolean;
      /** How long the backend wants to be left alone, in milliseconds; undefined where it did not say. */
      readonly cooldownMs?: number;
    }
  /** The client is gone. */
  | { readonly kind: 'abandoned' };

/** A call that is over, for the backend's breaker. */
export interface FinishedCall {
  readonly backend: ResolvedBackend;
  readonly probe: boolean;
  readonly outcome: Outcome;
  /** How long the backend wants to be left alone, in milliseconds; undefined where it did not say. */
  readonly cooldownMs?: number;
}

/** Answer to a caller; `busy` where the backend has asked to be left alone for a while, or has no room for the tenant. */
export type Permission = Claim | 'busy';

/** How the chain was gone through. */
export interface Route<Answer, Refusal> {
  readonly end:
    | { readonly kind: 'answered'; readonly answer: Answer; readonly backend: ResolvedBackend; readonly probe: boolean }
    | { readonly kind: 'refused'; readonly refusal: Refusal; readonly backend: ResolvedBackend }
    | { readonly kind: 'abandoned' }
    /** Every backend failed or was passed over; the reason is the last one's. */
    | { readonly kind: 'exhausted'; readonly reason: FallbackReason };
  /** Why the first choice did not answer; undefined where it did. `hedged`: a second call was sooner. */
  readonly fallback?: FallbackReason | 'hedged';
  readonly finished: readonly FinishedCall[];
  readonly retries: number;
  /** Whether a second call was made beside the first. */
  readonly hedged: boolean;
}

/** When and with whom a second call is made beside the first. */
export interface Hedging {
  /** How long the first call may wait, in milliseconds; undefined while that is not known. */
  readonly delayMs: (backend: ResolvedBackend) => number | undefined;
  /** Whether a backend may be called without asking its breaker. */
  readonly isFree: (backend: ResolvedBackend) => boolean;
  /** Takes note of a first call that was given up, without an answer after so many milliseconds. */
  readonly noteGivenUp: (backend: ResolvedBackend, afterMs: number) => void;
  readonly timer: Timer;
}

/** What routing needs from outside. */
export interface RoutePorts<Answer, Refusal> {
  /** Asks a backend's breaker. */
  readonly permission: (backend: ResolvedBackend) => Promise<Permission>;
  readonly attempt: (backend: ResolvedBackend, signal: CallSignal) => Promise<Attempt<Answer, Refusal>>;
  readonly budget: (backend: ResolvedBackend) => { earn(): void; spend(): boolean };
  readonly pause: (ms: number) => Promise<void>;
  readonly random: () => number;
  /** Aborted when the client is gone. */
  readonly hungUp: CallSignal;
  /** Undefined where each call is made alone. */
  readonly hedging?: Hedging;
}

/** Goes down a model's chain until a backend answers: retries within the budget on one, then the next. */
export async function route<Answer, Refusal>(
  chain: readonly ResolvedBackend[],
  ports: RoutePorts<Answer, Refusal>,
): Promise<Route<Answer, Refusal>> {
  const finished: FinishedCall[] = [];
  /** Backends that have had their turn beside another. */
  const passed = new Set<ResolvedBackend>();
  let fallback: Route<Answer, Refusal>['fallback'];
  // What a client may wait for comes before what it cannot have.
  let reason: FallbackReason = 'not_supported';
  let unsuited: { readonly kind: 'refused'; readonly refusal: Refusal; readonly backend: ResolvedBackend } | undefined;
  let retries = 0;
  let isFirstCall = true;
  for (const backend of chain) {
    if (passed.has(backend)) continue;
    const permission = await ports.permission(backend);
    if (permission === 'refused' || permission === 'busy') {
      reason = permission === 'busy' ? 'backend_busy' : 'circuit_open';
      fallback ??= reason;
      continue;
    }
    const probe = permission === 'permit';
    ports.budget(backend).earn();
    for (let attempt = 1; ; attempt++) {
      // A probe is made to be judged, so it is left to end by itself.
      const later = ports.hedging && isFirstCall && !probe ? chain.slice(chain.indexOf(backend) + 1) : [];
      isFirstCall = false;
      const { result, other, ...answering } = await call(backend, later, ports);
      if (other) {
        passed.add(other.backend).add(answering.backend);
        finished.push(finishedCall(other.backend, false, other.result));
        const isSecond = answering.backend !== backend && result.kind !== 'abandoned';
        if (isSecond) fallback ??= reasonOf(other.result);
      }
      const told = () => ({ ...(fallback && { fallback }), finished, retries, hedged: passed.size > 0 });
      if (result.kind === 'answered') return { end: { ...result, backend: answering.backend, probe }, ...told() };
      finished.push(finishedCall(answering.backend, probe, result));
      if (result.kind === 'refused') return { end: { ...result, backend: answering.backend }, ...told() };
      if (result.kind === 'abandoned') return { end: result, ...told() };
      if (result.kind === 'unsuited') {
        unsuited ??= { kind: 'refused', refusal: result.refusal, backend: answering.backend };
        if (other?.result?.kind === 'failed') reason = other.result.reason;
        break;
      }
      reason = result.reason;
      // A permit is for one call, and a second call stands in for the retries of the first.
      const mayRetry = result.retriable && !probe && !other && attempt <= backend.retries.max;
      if (!mayRetry || !ports.budget(backend).spend()) break;
      retries += 1;
      await ports.pause(retryDelayMs(attempt, ports.random));
    }
    fallback ??= reason;
  }
  const hedged = passed.size > 0;
  if (unsuited && reason === 'not_supported') return { end: unsuited, finished, retries, hedged };
  return { end: { kind: 'exhausted', reason }, ...(fallback && { fallback }), finished, retries, hedged };
}

/** Why the second call of a race answered: the first had failed by itself, or was merely later. */
function reasonOf(first: Attempt<unknown, unknown> | undefined): FallbackReason | 'hedged' {
  if (first?.kind === 'failed') return first.reason;
  return first?.kind === 'unsuited' ? 'not_supported' : 'hedged';
}

/** Calls a backend, and beside it one of those that come later where that is wanted and the first is late. */
async function call<Answer, Refusal>(
  backend: ResolvedBackend,
  later: readonly ResolvedBackend[],
  ports: RoutePorts<Answer, Refusal>,
): Promise<Race<Answer, Refusal>> {
  const { attempt, budget, hedging, hungUp } = ports;
  const free = hedging ? later.filter(hedging.isFree) : [];
  const [next] = free;
  const delayMs = next && hedging?.delayMs(backend);
  if (!next || !hedging || delayMs === undefined) return { backend, result: await attempt(backend, hungUp) };
  // Second calls are a share of first ones, also where their backend has no first ones of its own.
  budget(next).earn();
  const second = () => free.find((candidate) => budget(candidate).spend());
  const raced = await race(backend, delayMs, { attempt, second, timer: hedging.timer, hungUp });
  const { other, result } = raced;
  if (result.kind === 'answered' && other?.backend === backend && !other.result) hedging.noteGivenUp(backend, delayMs);
  return raced;
}

/** What a breaker is told of a call without an answer; one that was given up says nothing about its backend. */
function finishedCall(
  backend: ResolvedBackend,
  probe: boolean,
  result: Attempt<unknown, unknown> | undefined,
): FinishedCall {
  if (result?.kind !== 'failed') return { backend, probe, outcome: 'ignored' };
  const { outcome, cooldownMs } = result;
  return { backend, probe, outcome, ...(cooldownMs !== undefined && { cooldownMs }) };
}
