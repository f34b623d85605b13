import type { Vector } from './vector';

/** What an index is asked: the entry whose question is nearest, among those of the same scope. */
export interface IndexQuery {
  /** Digest of all that must be equal. */
  readonly scope: string;
  readonly vector: Vector;
  /** The least cosine similarity. */
  readonly minimumSimilarity: number;
}

/** What an index is told: that an answer to a question has been stored. */
export interface IndexedEntry {
  readonly scope: string;
  readonly vector: Vector;
  /** The store's key of the answer. */
  readonly entryKey: string;
  /** How long the answer is fresh. */
  readonly lifeMs: number;
}

/** An entry whose question is near enough, with the cosine similarity. */
export interface SimilarEntry {
  readonly entryKey: string;
  readonly similarity: number;
}

/** Finds stored answers by what was asked. Both calls may fail; nothing of a request depends on them. */
export interface SemanticIndex {
  /** The nearest entry of the scope, where it is near enough. It may be gone from the store by now. */
  search(query: IndexQuery): Promise<SimilarEntry | undefined>;
  /** Adds an entry, or replaces what was known under its key. */
  add(entry: IndexedEntry): Promise<void>;
}

/** Keeps the vectors of texts that were asked before, so that a repeated text costs no call of the embedding model. */
export interface VectorCache {
  get(key: string): Promise<Vector | undefined>;
  set(key: string, vector: Vector, lifeMs: number): Promise<void>;
}
