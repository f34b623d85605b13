import { type Feature, FeatureType } from '../../../lib/policy/features/definition';
import type { FeatureValue } from './history';

/** Below this many values on either side, chance alone moves the index by more than what would be alarming. */
export const LEAST_VALUES = 200;

/** Bins of equal share in the training data, as is usual for the index. */
const BINS = 10;

/** Texts that have a bin of their own; the others share one. */
const MOST_CATEGORIES = 20;

/** What an empty bin counts as, so that a bin that one side lacks counts for much and not for infinitely much. */
const EMPTY_COUNT = 0.5;

/** How far what is served is from what was trained on. */
export interface Skew {
  /** Population stability index: below 0.1 alike, above 0.25 not alike. */
  readonly index: number;
  readonly servedValues: number;
  readonly trainedValues: number;
}

/**
 * Compares the values of a feature that were served with those of the training data.
 *
 * @returns undefined where either side has too few values to say anything
 */
export function skewOf(
  { type }: Pick<Feature, 'type'>,
  served: readonly FeatureValue[],
  trained: readonly FeatureValue[],
): Skew | undefined {
  if (served.length < LEAST_VALUES || trained.length < LEAST_VALUES) return undefined;
  const binOf =
    type === FeatureType.NUMBER || type === FeatureType.INTEGER ? numericBins(trained) : categories(trained);
  return {
    index: stabilityIndex(counted(served, binOf), counted(trained, binOf)),
    servedValues: served.length,
    trainedValues: trained.length,
  };
}

/**
 * The population stability index: the sum over all bins of (p − q)·ln(p/q), for the shares p and q of either side.
 *
 * @param one counts by bin
 * @param other counts by bin
 */
export function stabilityIndex(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): number {
  const bins = [...new Set([...one.keys(), ...other.keys()])];
  const shares = (counts: ReadonlyMap<string, number>) => {
    const filled = bins.map((bin) => Math.max(counts.get(bin) ?? 0, EMPTY_COUNT));
    const total = filled.reduce((sum, count) => sum + count, 0);
    return filled.map((count) => count / total);
  };
  const [p, q] = [shares(one), shares(other)];
  return bins.reduce((sum, _, i) => sum + (p[i]! - q[i]!) * Math.log(p[i]! / q[i]!), 0);
}

/** Bins between the deciles of the training data. A value that is several of them, as 0 often is, has a bin of its own. */
function numericBins(trained: readonly FeatureValue[]): (value: FeatureValue) => string {
  const sorted = trained.map(Number).sort((one, other) => one - other);
  const edges = Array.from({ length: BINS - 1 }, (_, i) => sorted[Math.floor(((i + 1) * sorted.length) / BINS)]!);
  const frequent = new Set(edges.filter((edge, i) => edge === edges[i + 1]));
  return (value) => {
    const number = Number(value);
    if (frequent.has(number)) return `is ${number}`;
    const bin = edges.findIndex((edge) => number < edge);
    return `below ${bin < 0 ? BINS : bin}`;
  };
}

/** A bin for each of the most frequent values, and one for all others. */
function categories(trained: readonly FeatureValue[]): (value: FeatureValue) => string {
  const frequent = [...counted(trained, String)]
    .sort(([, one], [, other]) => other - one)
    .slice(0, MOST_CATEGORIES)
    .map(([category]) => category);
  const known = new Set(frequent);
  return (value) => (known.has(String(value)) ? `is ${value}` : 'other');
}

function counted(values: readonly FeatureValue[], binOf: (value: FeatureValue) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) {
    const bin = binOf(value);
    counts.set(bin, (counts.get(bin) ?? 0) + 1);
  }
  return counts;
}
