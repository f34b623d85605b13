import { leastHistory } from '../../../lib/policy/pipeline/pipeline-defaults';

/** How a value stands to what its history lets expect. */
export interface Judgement {
  readonly expected: number;
  /** Distance from it in robust standard deviations. */
  readonly deviations: number;
  /** How many of those are within the ordinary. */
  readonly most: number;
  readonly isAlarm: boolean;
}

/** How a history is judged by. */
export interface SeasonalSettings {
  readonly minimumHistory: number;
  readonly season: number;
  readonly mostDeviations: number;
}

/** From the median absolute deviation to the standard deviation of a normal distribution. */
const MAD_TO_DEVIATION = 1.4826;

/** Values of the same phase that make up what is expected: their median bears one incident among them. */
const SEASONS_BACK = 4;

/** What a short history does not know of its own spread: the bound is this many times its own share wider. */
const SHORT_HISTORY = 4;

/**
 * Judges a value by its history, oldest first. Expected is the median of the last values of the same phase of the season,
 * moved by the median of what such expectations missed so far, so that steady growth is expected too. The spread is that of
 * those misses, taken robustly: one past incident widens nothing.
 *
 * Undefined before there is enough history.
 *
 * @param leastDeviation the standard deviation that what is expected has by counting alone, below which nothing is worth an alarm
 */
export function judge(
  history: readonly number[],
  value: number,
  leastDeviation: (expected: number) => number,
  { minimumHistory, season, mostDeviations }: SeasonalSettings,
): Judgement | undefined {
  // More than the first expectation needs, so that there are misses to learn from.
  if (history.length < leastHistory(minimumHistory, season)) return undefined;
  const misses: number[] = [];
  for (let i = season; i < history.length; i++) misses.push(history[i]! - expectation(history, i, season));
  const shift = median(misses);
  const spread = MAD_TO_DEVIATION * median(misses.map((miss) => Math.abs(miss - shift)));
  const expected = expectation(history, history.length, season) + shift;
  const deviations = Math.abs(value - expected) / Math.max(spread, leastDeviation(expected));
  const most = mostDeviations * (1 + SHORT_HISTORY / misses.length);
  return { expected, deviations, most, isAlarm: deviations > most };
}

function expectation(history: readonly number[], at: number, season: number): number {
  const same: number[] = [];
  for (let i = at - season; i >= 0 && same.length < SEASONS_BACK; i -= season) same.push(history[i]!);
  return median(same);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
