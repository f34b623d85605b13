import type { BreakerSettings } from '../../lib/policy/backend';

/**
 * A circuit breaker with resilience4j's semantics, as a pure state machine over plain state. It decides alone while the
 * store is lost; `claim.lua` and `record.lua` are the same machine in the store, shared by all function instances.
 *
 * Sharper than the original in one point: in the half-open state only the outcomes of its own probes count, not those of
 * calls that began earlier.
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
  /** Outcomes that are judged, oldest first, one letter each. */
  readonly window: string;
  /** Probes in progress. */
  readonly permits: readonly Permit[];
}

/** Outcome of a call: each has a letter in the window, but for ignored ones, which only give their permit back. */
export type Outcome = 'success' | 'failure' | 'slowSuccess' | 'slowFailure' | 'ignored';

/** Letters of the window. */
export const LETTER: Readonly<Record<Outcome, string>> = {
  success: 's',
  failure: 'f',
  slowSuccess: 'l',
  slowFailure: 'b',
  ignored: 'i',
};

/** Settings with every default filled in. */
export type BreakerRules = Required<BreakerSettings>;

/** Answer to a caller that wants a probe's permit; `closed` where the breaker needs none by now. */
export type Claim = 'closed' | 'permit' | 'refused';

/** A breaker that knows no call yet. */
export const CLOSED: BreakerState = { status: 'closed', openUntil: 0, window: '', permits: [] };

/** Whether a call may go ahead, must claim a permit first, or must not be made. */
export function passage(state: Pick<BreakerState, 'status' | 'openUntil'>, now: number): 'free' | 'claim' | 'blocked' {
  if (state.status === 'closed') return 'free';
  return state.status === 'open' && now < state.openUntil ? 'blocked' : 'claim';
}

/** Claims a permit for a probe: exactly `halfOpenProbes` are given out, each once. */
export function claim(
  state: BreakerState,
  rules: BreakerRules,
  probe: { readonly id: string; readonly leaseMs: number },
  now: number,
): { readonly state: BreakerState; readonly claim: Claim } {
  const way = passage(state, now);
  if (way === 'free') return { state, claim: 'closed' };
  if (way === 'blocked') return { state, claim: 'refused' };
  const window = state.status === 'half_open' ? state.window : '';
  const inProgress = state.status === 'half_open' ? state.permits.filter(({ expiresAt }) => expiresAt > now) : [];
  const halfOpen: BreakerState = { status: 'half_open', openUntil: 0, window, permits: inProgress };
  if (inProgress.length + window.length >= rules.halfOpenProbes) return { state: halfOpen, claim: 'refused' };
  const permit = { id: probe.id, expiresAt: now + probe.leaseMs };
  return { state: { ...halfOpen, permits: [...inProgress, permit] }, claim: 'permit' };
}

/** Takes the outcome of a call into account; `id` is the caller's, and that of its permit if it holds one. */
export function record(
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
      const window = (state.window + LETTER[call.outcome]).slice(-rules.window.size);
      const judged = window.length >= rules.minimumCalls;
      // A good call makes no share larger, so it opens no breaker but one that is judged for the first time.
      const changesNothing = call.outcome === 'success' && state.window.length >= rules.minimumCalls;
      return judged && !changesNothing && isFailing(window, rules)
        ? opened(rules, now)
        : { status: 'closed', openUntil: 0, window, permits: CLOSED.permits };
    }
    case 'half_open': {
      const permits = state.permits.filter(({ id }) => id !== call.id);
      if (permits.length === state.permits.length) return state;
      if (call.outcome === 'ignored') return { ...state, permits };
      const window = state.window + LETTER[call.outcome];
      if (window.length < rules.halfOpenProbes) return { ...state, permits, window };
      return isFailing(window, rules) ? opened(rules, now) : CLOSED;
    }
  }
}

function isFailing(window: string, rules: BreakerRules): boolean {
  const both = count(LETTER.slowFailure, window);
  const failures = count(LETTER.failure, window) + both;
  const slow = count(LETTER.slowSuccess, window) + both;
  return failures / window.length >= rules.failureRate || slow / window.length >= rules.slowRate;
}

/** Every call passes here, most with a full window of successes, which a search leaps over. */
function count(letter: string, window: string): number {
  let found = 0;
  for (let at = window.indexOf(letter); at >= 0; at = window.indexOf(letter, at + 1)) found += 1;
  return found;
}

function opened(rules: BreakerRules, now: number): BreakerState {
  return { status: 'open', openUntil: now + rules.openMs, window: '', permits: [] };
}
