/** Whether a training set holds what came in too late for a request of its time. */
export enum LateArrivals {
  /** What had not come in at the time of a label is left out: the values are those that would have been served. */
  EXCLUDE = 'exclude',
  /** Only the times of events count, as for a history that was filled in afterwards. */
  INCLUDE = 'include',
}

/** A training set to make: labels in a table of their own, and the features that are joined to each as they were at its time. */
export interface TrainingSet {
  /** Entity that the labels are about. */
  readonly entity: string;

  /** Database of the table of labels. */
  readonly labelDatabase: string;

  /** Table of labels. All of its columns are in the training set. */
  readonly labelTable: string;

  /** Column of the entity's key, text. */
  readonly keyColumn: string;

  /** Column of the time as of which features are wanted: milliseconds since 1970, a bigint. */
  readonly timeColumn: string;

  /**
   * Names of the features.
   *
   * @default - all of the entity
   */
  readonly features?: string[];

  /**
   * Whether late arrivals are left out.
   *
   * @default LateArrivals.EXCLUDE
   */
  readonly lateArrivals?: LateArrivals;

  /**
   * Leaves out what came in after this time, milliseconds since 1970: the same training set comes out again later.
   *
   * @default - all that is there is read
   */
  readonly readAtMs?: number;

  /**
   * Date of the earliest label, in UTC, such as `2026-03-01`. Partitions are read from then, less the longest time to
   * live.
   *
   * @default - from the first partition on
   */
  readonly firstDay?: string;

  /**
   * Date of the latest label, in UTC.
   *
   * @default - to the last partition
   */
  readonly lastDay?: string;
}
