import type { Feature, FeatureDefinition } from './definition';

/**
 * Columns of an offline table besides its features. A time is milliseconds since 1970: whole numbers compare alike in
 * every engine, and a time to live is subtracted without a dialect's intervals.
 */
export const KEY_COLUMNS = {
  /** Which entity. */
  key: 'entity_key',
  /** When what the values tell was so. */
  event: 'event_ms',
  /** When they came in: what a request of that time could know. */
  ingested: 'ingested_ms',
  /** Orders what came in, to the last record: unique, and compares as text in the order of arrival. */
  id: 'ingest_id',
  /** Version of the source that computed the values. */
  source: 'source_version',
} as const;

/** The column by which the offline tables are partitioned: the event's date in UTC, such as `2026-03-01`. */
export const DAY_COLUMN = 'day';

/** No event is older, so that no query looks for partitions before it, and a time in seconds is not taken for milliseconds. */
export const FIRST_DAY = '2000-01-01';

/** Names that no feature may have. */
export const RESERVED_COLUMNS: readonly string[] = [...Object.values(KEY_COLUMNS), DAY_COLUMN];

/** The entities of a definition, in the order in which its features name them first. */
export function entitiesOf({ features }: FeatureDefinition): string[] {
  return [...new Set(features.map(({ entity }) => entity))];
}

/** The features of one entity. */
export function featuresOf({ features }: FeatureDefinition, entity: string): Feature[] {
  return features.filter((feature) => feature.entity === entity);
}
