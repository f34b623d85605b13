/** What a feature's values are. */
export enum FeatureType {
  /** True or false. */
  BOOLEAN = 'boolean',
  /** Whole numbers from −2⁵³+1 to 2⁵³−1. */
  INTEGER = 'integer',
  /** Numbers of double precision. */
  NUMBER = 'number',
  /** Text of at most 4,096 characters. */
  TEXT = 'text',
}

/** One property of an entity that models are trained on and asked with, such as what a customer spent in 30 days. */
export interface Feature {
  /**
   * Unique name: lower-case letters and digits, a letter first, with single underscores between, at most 63 characters. It
   * is the name of a column, too.
   */
  readonly name: string;

  /** What the feature is a property of, such as `customer`; named as features are. */
  readonly entity: string;

  /** What its values are. */
  readonly type: FeatureType;

  /**
   * How long a value holds after the time of its event, in seconds, 1 to 315,360,000 (10 years). An older one is stale:
   * neither served nor trained on.
   */
  readonly ttlSeconds: number;

  /**
   * Version of the source that the values are computed by, such as `orders-v3`: 1 to 64 letters, digits and any of
   * `. _ : -`. Values of another version are refused, and those that are kept already are not read.
   */
  readonly sourceVersion: string;

  /**
   * What stands in for a value that is stale or missing, when serving and in training sets alike.
   *
   * @default - nothing: the value is null
   */
  readonly default?: boolean | number | string;

  /**
   * What the values mean.
   *
   * @default - none
   */
  readonly description?: string;
}

/** The features of a store: what offline table, online store, training sets and the answers of the service come from. */
export interface FeatureDefinition {
  /** Name of the store: lower-case letters, digits and hyphens, a letter or digit at each end, at most 63 characters. */
  readonly name: string;

  /** The features, 1 to 1,000, at most 200 of one entity; names are unique. */
  readonly features: Feature[];

  /**
   * Names of features that are no more. None of them may come back: what is kept under it means something else.
   *
   * @default - none
   */
  readonly retired?: string[];
}

/** Who must be able to go on when a definition changes. */
export enum FeatureCompatibility {
  /** Whoever reads by the new definition reads what was written by the old one. */
  BACKWARD = 'backward',
  /** Whoever still reads by the old definition reads what is written by the new one. */
  FORWARD = 'forward',
  /** Both. */
  FULL = 'full',
  /** Nobody: every change is let through. */
  NONE = 'none',
}
