import { type BreakerSettings, BreakerWindowKind } from '../../lib/policy/backend';
import { LETTER, type Outcome, pushed, type Tally, tallyOf, tallyOfCalls } from './outcome-window';

/**
 * A circuit breaker with resilience4j's semantics, as a pure state machine over plain state. It decides alone while the
 * store is lost; `breaker.lua` and `claim.lua` are the same machine in the store, shared by all function instances.
 *
 * Sharper than the original in two points: in the half-open state only the outcomes of its own probes count, not those
 * of calls that began earlier; and a breaker whose probes keep failing stays open longer each time.
 */

/** What a breaker does with calls: let all through, none, or a counted number of probes. */
export type BreakerStatus = 'closed' | 'open' | 'half_open';

/** A probe's permit, which lapses so that a crashed function does not keep it. */
export interface Permit {
  readonly id: string;
  readonly expiresAt: number;
}

/** Everything that a breaker knows. */
export interface BreakerState {
  readonly status: BreakerStatus;
  /** When an open breaker lets probes through. */
  readonly openUntil: number;
  /** Outcomes that are judged; in the half-open state those of the probes, a letter each. */
  readonly window: string;
  /** Probes in progress. */
  readonly permits: readonly Permit[];
  /** How often in a row its probes have failed. */
  readonly reopened: number;
  /** Until when the backend has asked to be left alone. */
  readonly cooldownUntil: number;
}

/** What decides whether a call may be made. */
export interface BreakerView {
  readonly status: BreakerStatus;
  readonly openUntil: number;
  readonly cooldownUntil?: number;
  /** What an operator has ordered. */
  readonly forced?: 'open' | 'closed';
  /** When the order ends; it stands until it is withdrawn where undefined. */
  readonly forcedUntil?: number;
}

/**
 * `free`: the call may be made; `claim`: with a probe's permit only; `blocked`: not, the breaker is open; `cooling`: not,
 * the backend has asked to be left alone.
 */
export type Passage = 'free' | 'claim' | 'blocked' | 'cooling';

/** Settings with every default filled in. */
export type BreakerRules = Required<BreakerSettings>;

/** Answer to a caller that wants a probe's permit; `closed` where the breaker needs none by now. */
export type Claim = 'closed' | 'permit' | 'refused';

/** A breaker that knows no call yet. */
export const CLOSED: BreakerState = {
  status: 'closed',
  openUntil: 0,
  window: '',
  permits: [],
  reopened: 0,
  cooldownUntil: 0,
};

/** Whether a call may go ahead. */
export function passage(view: BreakerView, now: number): Passage {
  const { forced, forcedUntil } = view;
  if (forced && (forcedUntil === undefined || forcedUntil > now)) return forced === 'closed' ? 'free' : 'blocked';
  if (view.cooldownUntil !== undefined && view.cooldownUntil > now) return 'cooling';
  if (view.status === 'closed') return 'free';
  return view.status === 'open' && now < view.openUntil ? 'blocked' : 'claim';
}

/** Claims a permit for a probe: exactly `halfOpenProbes` are given out, each once. */
export function claim(
  state: BreakerState,
  rules: BreakerRules,
  probe: { readonly id: string; readonly leaseMs: number },
  now: number,
): { readonly state: BreakerState; readonly claim: Claim } {
  if (state.status === 'closed') return { state, claim: 'closed' };
  if (state.status === 'open' && now < state.openUntil) return { state, claim: 'refused' };
  const window = state.status === 'half_open' ? state.window : '';
  const inProgress = state.status === 'half_open' ? state.permits.filter(({ expiresAt }) => expiresAt > now) : [];
  const halfOpen: BreakerState = { ...state, status: 'half_open', openUntil: 0, window, permits: inProgress };
  if (inProgress.length + window.length >= rules.halfOpenProbes) return { state: halfOpen, claim: 'refused' };
  const permit = { id: probe.id, expiresAt: now + probe.leaseMs };
  return { state: { ...halfOpen, permits: [...inProgress, permit] }, claim: 'permit' };
}

/** Takes the outcome of a call into account; `id` is the caller's, and that of its permit if it holds one. */
export function record(
  state: BreakerState,
  rules: BreakerRules,
  call: { readonly id: string; readonly outcome: Outcome; readonly cooldownMs?: number },
  now: number,
): BreakerState {
  const { cooldownMs } = call;
  const judged = judge(state, rules, call, now);
  if (!cooldownMs) return judged;
  return { ...judged, cooldownUntil: Math.max(state.cooldownUntil, now + cooldownMs) };
}

function judge(
  state: BreakerState,
  rules: BreakerRules,
  call: { readonly id: string; readonly outcome: Outcome },
  now: number,
): BreakerState {
  switch (state.status) {
    case 'open':
      return state;
    case 'closed': {
      if (call.outcome === 'ignored') return state;
      const { kind } = rules.window;
      const window = pushed(state.window, rules.window, call.outcome, now);
      // A good call makes no share of a number of calls larger, so it opens no breaker but one that is first judged.
      const changesNothing =
        kind === BreakerWindowKind.COUNT &&
        call.outcome === 'success' &&
        (state.window.length >= rules.minimumCalls || window.length < rules.minimumCalls);
      if (changesNothing) return stillClosed(state, window);
      const tally = tallyOf(window, kind);
      return tally.calls >= rules.minimumCalls && isFailing(tally, rules)
        ? opened(state, rules, now, 0)
        : stillClosed(state, window);
    }
    case 'half_open': {
      const permits = state.permits.filter(({ id }) => id !== call.id);
      if (permits.length === state.permits.length) return state;
      if (call.outcome === 'ignored') return { ...state, permits };
      const window = state.window + LETTER[call.outcome];
      if (window.length < rules.halfOpenProbes) return { ...state, permits, window };
      return isFailing(tallyOfCalls(window), rules)
        ? opened(state, rules, now, state.reopened + 1)
        : { ...CLOSED, cooldownUntil: state.cooldownUntil };
    }
  }
}

/** Field by field: every call passes here, and a spread takes longer than the rest of it. */
function stillClosed({ reopened, cooldownUntil }: BreakerState, window: string): BreakerState {
  return { status: 'closed', openUntil: 0, window, permits: CLOSED.permits, reopened, cooldownUntil };
}

function isFailing({ calls, failures, slow }: Tally, rules: BreakerRules): boolean {
  return failures / calls >= rules.failureRate || slow / calls >= rules.slowRate;
}

function opened(state: BreakerState, rules: BreakerRules, now: number, reopened: number): BreakerState {
  const openMs = Math.min(rules.openMs * 2 ** reopened, rules.maxOpenMs);
  return { ...state, status: 'open', openUntil: now + openMs, window: '', permits: [], reopened };
}
