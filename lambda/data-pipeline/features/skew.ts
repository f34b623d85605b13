import { type Feature, FeatureType } from '../../../lib/policy/features/definition';
import { stabilityIndex } from '../monitors/stability';
import type { FeatureValue } from './history';

/** Below this many values on either side, chance alone moves the index by more than what would be alarming. */
export const LEAST_VALUES = 200;

/** Bins of equal share in the training data, as is usual for the index. */
const BINS = 10;

/** Texts that have a bin of their own; the others share one. */
const MOST_CATEGORIES = 20;

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
  const [p, q] = [counted(served, binOf), counted(trained, binOf)];
  const bins = [...new Set([...p.keys(), ...q.keys()])];
  return {
    index: stabilityIndex(bins.map((bin) => [p.get(bin) ?? 0, q.get(bin) ?? 0])),
    servedValues: served.length,
    trainedValues: trained.length,
  };
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
