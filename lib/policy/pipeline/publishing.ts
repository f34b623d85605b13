/** How long versions and quarantined records are kept. The published version is always kept. */
export interface RetentionSettings {
  /**
   * Versions that can be rolled back to, the published one included, 1 to 1,000.
   *
   * @default 10
   */
  readonly versions?: number;

  /**
   * Days that quarantined records of a version that is gone are kept, 1 to 3,650.
   *
   * @default 30
   */
  readonly quarantineDays?: number;
}

/** The vector index that published versions fill: a new index is built beside the old one and takes over as a whole. */
export interface RetrievalSettings {
  /**
   * JSON lines file of the golden set, `{ "query": …, "uri": … }`: a path below the directory of references, or a key below
   * their prefix.
   *
   * @default - no gate: each published version takes over
   */
  readonly goldenSet?: string;

  /**
   * The least share of the golden set's queries whose page is among the first `results`, 0 to 1. Below it the old index
   * stays.
   *
   * @default 0.9
   */
  readonly leastRecall?: number;

  /**
   * Answers to a query, 1 to 100.
   *
   * @default 10
   */
  readonly results?: number;

  /**
   * How the nearness of vectors is measured.
   *
   * @default VectorDistance.COSINE
   */
  readonly distance?: VectorDistance;

  /**
   * Fields, strings, numbers, booleans or lists of strings, kept beside each vector and given back with it: at most 10, with
   * names of at most 63 characters. What is null or an empty list is left out. A record whose fields have more than 40,000
   * bytes of JSON is a fault of the last stage, under the rule `retrieval`.
   *
   * @default ['uri', 'title', 'heading', 'text'] - those of them that the last stage gives
   */
  readonly fields?: string[];
}

/** How the nearness of vectors is measured. */
export enum VectorDistance {
  /** The angle between them. */
  COSINE = 'cosine',
  /** The straight line between them. */
  EUCLIDEAN = 'euclidean',
}
