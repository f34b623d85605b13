import type { BreakerRules, BreakerStatus } from './breaker';
import { isoTime } from './state-change';

/** What the store holds of a breaker; times in milliseconds of the store's clock, 0 for none. */
export interface BreakerReading {
  readonly now: number;
  readonly status: BreakerStatus;
  readonly openUntil: number;
  readonly window: string;
  readonly cooldownUntil: number;
  readonly forced: 'open' | 'closed' | '';
  readonly forcedUntil: number;
}

/** A breaker as an operator reads of it; times are ISO 8601 text, and left out where there is none. */
export interface BreakerReport {
  readonly backend: string;
  /** What it has made of the outcomes of calls. */
  readonly status: BreakerStatus;
  /** When it lets probes through, where it is open. */
  readonly openUntil?: string;
  /** What an operator has told it, which goes before its own status; `none` where nobody has. */
  readonly forced: 'open' | 'closed' | 'none';
  /** When that ends; left out where it holds until it is withdrawn. */
  readonly forcedUntil?: string;
  /** Until when the backend has asked to be left alone. */
  readonly cooldownUntil?: string;
  /** The calls that are judged: the last ones, or the probes in the half-open state. */
  readonly window: { readonly calls: number; readonly failed: number; readonly slow: number };
}

/** Tells of a breaker. What has run out by now is left out. */
export function reportOf(backend: string, reading: BreakerReading, { window }: BreakerRules): BreakerReport {
  const { now, status, openUntil, cooldownUntil } = reading;
  const forced = forcedNow(reading);
  return {
    backend,
    status,
    ...(status === 'open' && { openUntil: isoTime(openUntil) }),
    forced: forced || 'none',
    ...(forced && reading.forcedUntil > 0 && { forcedUntil: isoTime(reading.forcedUntil) }),
    ...(cooldownUntil > now && { cooldownUntil: isoTime(cooldownUntil) }),
    window: tally(reading.window, now, window.size),
  };
}

/** What a breaker does with calls: what it was told, or else what it has found. */
export function effectiveStatus(reading: BreakerReading): BreakerStatus {
  return forcedNow(reading) || reading.status;
}

/** When the breaker lets calls through again, where it lets none through and a time is set. */
export function effectiveOpenUntil(reading: BreakerReading): number | undefined {
  if (effectiveStatus(reading) !== 'open') return undefined;
  const until = forcedNow(reading) ? reading.forcedUntil : reading.openUntil;
  return until > 0 ? until : undefined;
}

function forcedNow({ forced, forcedUntil, now }: BreakerReading): BreakerReading['forced'] {
  return forcedUntil === 0 || forcedUntil > now ? forced : '';
}

/** Counts a window of letters, one a call, or of time steps, each `step:calls:failed:slow;`. */
function tally(text: string, now: number, seconds: number): BreakerReport['window'] {
  if (text.includes(':')) return tallySteps(text, now, seconds);
  const letters = [...text];
  return {
    calls: letters.length,
    failed: letters.filter((letter) => letter === 'f' || letter === 'b').length,
    slow: letters.filter((letter) => letter === 'l' || letter === 'b').length,
  };
}

/** Steps are a sixtieth of the window, at least a second, and named by their number since 1970. */
function tallySteps(text: string, now: number, seconds: number): BreakerReport['window'] {
  const stepMs = Math.max(1000, (seconds * 1000) / 60);
  const oldest = Math.floor(now / stepMs) - Math.ceil((seconds * 1000) / stepMs);
  const steps = text
    .split(';')
    .map((step) => step.split(':').map(Number))
    .filter(([step]) => step !== undefined && step > oldest);
  const sum = (field: number) => steps.reduce((total, step) => total + (step[field] ?? 0), 0);
  return { calls: sum(1), failed: sum(2), slow: sum(3) };
}
