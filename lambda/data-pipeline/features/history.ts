/** A value of a feature. */
export type FeatureValue = boolean | number | string;

/** What one record told of one entity: a row of the offline table. */
export interface HistoryRow {
  /** Which entity. */
  readonly key: string;
  /** When what the values tell was so, milliseconds since 1970. */
  readonly eventMs: number;
  /** When the record came in, milliseconds since 1970. */
  readonly ingestedMs: number;
  /** Orders what came in, to the last record: unique, and compares as text in the order of arrival. */
  readonly ingestId: string;
  /** Version of the source that computed the values. */
  readonly sourceVersion: string;
  /** What the record tells; of a feature that it leaves out or gives as null it tells nothing. */
  readonly values: Readonly<Record<string, FeatureValue | null | undefined>>;
}

/** Digits of a time in an id of arrival: milliseconds up to the year 33658. */
const TIME_DIGITS = 15;
const POSITION_DIGITS = 7;

/**
 * The id of a record's arrival.
 *
 * @param batch id of the batch that it came in with
 * @param position its place in the batch, from 0
 */
export function ingestIdOf(ingestedMs: number, batch: string, position: number): string {
  const time = String(ingestedMs).padStart(TIME_DIGITS, '0');
  return `${time}-${batch}-${String(position).padStart(POSITION_DIGITS, '0')}`;
}

/** Of two values of a feature, whether the first is the one that holds: the newer event's, or of one time the later arrival's. */
export function isNewer(
  one: Pick<HistoryRow, 'eventMs' | 'ingestId'>,
  other: Pick<HistoryRow, 'eventMs' | 'ingestId'>,
): boolean {
  return one.eventMs === other.eventMs ? one.ingestId > other.ingestId : one.eventMs > other.eventMs;
}
