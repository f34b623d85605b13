import { type BreakerWindow, BreakerWindowKind } from '../../lib/policy/backend';

/**
 * The calls that a breaker judges, as one line of text that the store keeps: of the last calls a letter each, oldest
 * first; of the last seconds the tallies of time steps, `step:calls:failures:slow;`, oldest first.
 */

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

/** What a window holds. */
export interface Tally {
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
}

/** A window is kept in this many steps of time at most, each of at least a second. */
const MOST_STEPS = 60;

/** Adds a call to a window and forgets those that have left it. */
export function pushed(window: string, settings: BreakerWindow, outcome: Outcome, now: number): string {
  if (settings.kind === BreakerWindowKind.COUNT) return (window + LETTER[outcome]).slice(-settings.size);
  const stepMs = Math.max(1000, (settings.size * 1000) / MOST_STEPS);
  const current = Math.floor(now / stepMs);
  const oldest = current - Math.ceil((settings.size * 1000) / stepMs);
  const steps = stepsOf(window).filter(([step]) => step > oldest);
  const last = steps.at(-1);
  const failed = Number(outcome === 'failure' || outcome === 'slowFailure');
  const slow = Number(outcome === 'slowSuccess' || outcome === 'slowFailure');
  if (last?.[0] === current) {
    last[1] += 1;
    last[2] += failed;
    last[3] += slow;
  } else steps.push([current, 1, failed, slow]);
  return steps.map((step) => `${step.join(':')};`).join('');
}

/** Counts what a window of letters holds. */
export function tallyOfCalls(window: string): Tally {
  const both = count(LETTER.slowFailure, window);
  const failures = count(LETTER.failure, window) + both;
  return { calls: window.length, failures, slow: count(LETTER.slowSuccess, window) + both };
}

/** Counts what a window holds. */
export function tallyOf(window: string, kind: BreakerWindowKind): Tally {
  if (kind === BreakerWindowKind.COUNT) return tallyOfCalls(window);
  return stepsOf(window).reduce<Tally>(
    (sum, [, calls, failures, slow]) => ({
      calls: sum.calls + calls,
      failures: sum.failures + failures,
      slow: sum.slow + slow,
    }),
    { calls: 0, failures: 0, slow: 0 },
  );
}

type Step = [step: number, calls: number, failures: number, slow: number];

function stepsOf(window: string): Step[] {
  return window
    .split(';')
    .filter((text) => text !== '')
    .map((text) => text.split(':').map(Number) as Step);
}

/** Every call passes here, most with a full window of successes, which a search leaps over. */
function count(letter: string, window: string): number {
  let found = 0;
  for (let at = window.indexOf(letter); at >= 0; at = window.indexOf(letter, at + 1)) found += 1;
  return found;
}
