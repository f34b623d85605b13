import type { Feature } from '../../../lib/policy/features/definition';
import type { FeatureValue, HistoryRow } from './history';

/** Where a value comes from: a fresh value, or the declared fallback since the newest one is too old or there is none. */
export type ReadingStatus = 'fresh' | 'stale' | 'missing';

/** A feature as a model gets it. */
export interface Reading {
  /** The value, or the feature's default where it is stale or missing; null where there is no default. */
  readonly value: FeatureValue | null;
  readonly status: ReadingStatus;
  /** Age of the newest value there is, in milliseconds; none where there is none. */
  readonly ageMs?: number;
}

/** A value with what orders it among others. */
export type Dated = Pick<HistoryRow, 'eventMs' | 'ingestId'> & { readonly value: FeatureValue };

/** What a feature reads as at a time: the one rule by which it is served and trained on. */
export function readingOf(feature: Feature, newest: Dated | undefined, atMs: number): Reading {
  const fallback = feature.default ?? null;
  if (!newest) return { value: fallback, status: 'missing' };
  const ageMs = atMs - newest.eventMs;
  if (ageMs > feature.ttlSeconds * 1000) return { value: fallback, status: 'stale', ageMs };
  return { value: newest.value, status: 'fresh', ageMs };
}
