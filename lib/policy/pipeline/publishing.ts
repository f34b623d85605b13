/** How long versions, and what runs have left, are kept. The published version is always kept. */
export interface RetentionSettings {
  /**
   * Versions that can be rolled back to, the published one included, 1 to 1,000.
   *
   * @default 10
   */
  readonly versions?: number;

  /**
   * Days that what a run has left can be used, from its start, 1 to 3,650: a version that was held back can be redriven, and
   * a run that failed goes on where it was. The quarantine of a published version is kept as long as the version.
   *
   * @default 30
   */
  readonly quarantineDays?: number;

  /**
   * Days that the vector of a text is kept on AWS, from when the model gave it, 1 to 3,650. After them the model is asked
   * again. Until then the vectors of texts that are gone from the source are kept too.
   *
   * @default 90
   */
  readonly cacheDays?: number;
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
