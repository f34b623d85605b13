/** What a record must satisfy besides its schema: exactly one kind of rule. */
export interface StageRule {
  /** Unique within the stage: lower-case letters, digits and hyphens. It stands in quarantine and in metrics. */
  readonly name: string;

  /**
   * Names of fields that must be there, not null and not blank.
   *
   * @default - another kind
   */
  readonly required?: string[];

  /**
   * A number between bounds.
   *
   * @default - another kind
   */
  readonly range?: RangeRule;

  /**
   * Names of fields that together are unique among the records of the version that reach the rule. The first record, in the
   * order of file names and offsets, stays; later ones are faults. A record without one of the fields is left alone.
   *
   * @default - another kind
   */
  readonly unique?: string[];

  /**
   * A value that must stand in a reference set.
   *
   * @default - another kind
   */
  readonly reference?: ReferenceRule;

  /**
   * A time that must lie near the time that the run is for.
   *
   * @default - another kind
   */
  readonly time?: TimeRule;

  /**
   * An expression in the fields of the record that must be true, such as `total == price * quantity`; the language, a part
   * of CEL, is described in docs/data-pipeline/contract.md.
   *
   * @default - another kind
   */
  readonly expression?: string;
}

/** A number between bounds, both included. At least one bound. */
export interface RangeRule {
  /** Name of the field. A record without it, or with null, is left alone. */
  readonly field: string;

  /**
   * The least value.
   *
   * @default - no lower bound
   */
  readonly min?: number;

  /**
   * The largest value.
   *
   * @default - no upper bound
   */
  readonly max?: number;
}

/** A value that must stand in a reference set. */
export interface ReferenceRule {
  /** Name of the field. A record without it, or with null, is left alone. */
  readonly field: string;

  /** Name of the reference set. */
  readonly set: string;
}

/** Bounds on a record's time, from the time `asOf` that a run is given. Needs one bound at least. */
export interface TimeRule {
  /** Name of the field, a `date-time`. A record without it, or with null, is left alone. */
  readonly field: string;

  /**
   * How long before `asOf` it may lie, in seconds, at least 0: later data is a fault.
   *
   * @default - as old as it may be
   */
  readonly mostAgeSeconds?: number;

  /**
   * How long after `asOf` it may lie, in seconds, at least 0: clocks differ.
   *
   * @default - as far ahead as it may be
   */
  readonly mostAheadSeconds?: number;
}
