import type { VectorDistance } from '../../../lib/policy';

/** A record in a vector index. */
export interface IndexedVector {
  readonly id: string;
  readonly vector: readonly number[];
  /** What is given back with it. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** An answer to a query. */
export interface Match {
  readonly id: string;
  /** Smaller is nearer: 1 less the cosine of the angle, or the length of the line between. */
  readonly distance: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** One index, with vectors of one length. */
export interface VectorIndex {
  /**
   * Tells the index from one that had its name before: what was put into it is in it while this stays the same. Undefined
   * where each `create` begins with an empty one.
   */
  readonly identity?: string;
  /** Adds vectors; one of a known id takes the place of the old. */
  put(vectors: readonly IndexedVector[]): Promise<void>;
  /** Makes what was put last visible to queries, where that takes a step of its own. */
  seal(): Promise<void>;
  /** The nearest, nearest first. Throws for a vector of another length. */
  query(vector: readonly number[], results: number): Promise<Match[]>;
}

/** Makes and finds indexes, such as those of an S3 vector bucket. */
export interface VectorIndexes {
  /** Makes the index. One with an identity that is there already is taken as it is: it is being filled. */
  create(name: string, shape: { readonly dimensions: number; readonly distance: VectorDistance }): Promise<VectorIndex>;
  /** Undefined for an index that is not there, or was never sealed. */
  open(name: string): Promise<VectorIndex | undefined>;
  drop(name: string): Promise<void>;
}
