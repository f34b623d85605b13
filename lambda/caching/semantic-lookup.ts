import type { StoredEntry } from './entry';
import type { SemanticIndex, VectorCache } from './semantic-index';
import type { Vector } from './vector';

/** What is looked up by meaning. */
export interface Question {
  /** The text that is compared. */
  readonly text: string;
  /** Digest of all that must be equal. */
  readonly scope: string;
  /** The store's key of the text's vector. */
  readonly vectorKey: string;
  /** The least cosine similarity. */
  readonly minimumSimilarity: number;
  /** An answer younger than this will do. */
  readonly freshMs: number;
}

/** What a look-up needs from outside. Each may fail, and the look-up with it. */
export interface LookUpPorts {
  readonly index: SemanticIndex;
  readonly vectors: VectorCache;
  /** Asks the embedding model. */
  readonly embed: (text: string) => Promise<Vector>;
  /** Reads an entry by its key. */
  readonly read: (entryKey: string) => Promise<StoredEntry | undefined>;
}

/** An answer to a question that means the same. */
export interface SimilarAnswer {
  readonly entry: StoredEntry;
  readonly similarity: number;
}

/**
 * One look-up by meaning: the text's vector, from the store or the embedding model; the nearest question that was asked
 * in an otherwise equal request; and its answer, which the store must still hold and which must be fresh.
 */
export class LookUp {
  private vector: Vector | undefined;
  private isNew = false;

  constructor(
    private readonly question: Question,
    private readonly ports: LookUpPorts,
  ) {}

  /** The answer to the nearest question, where it is near enough and its answer fresh. */
  public async find(): Promise<SimilarAnswer | undefined> {
    const { text, scope, vectorKey, minimumSimilarity, freshMs } = this.question;
    const { index, vectors, embed, read } = this.ports;
    const known = await vectors.get(vectorKey);
    const vector = known ?? (await embed(text));
    this.isNew = known === undefined;
    this.vector = vector;
    const similar = await index.search({ scope, vector, minimumSimilarity });
    const entry = similar && (await read(similar.entryKey));
    return entry && entry.ageMs < freshMs ? { entry, similarity: similar.similarity } : undefined;
  }

  /**
   * Keeps what was found out: the text's vector, and that the question has an answer, where one was stored. Nothing is
   * known of a question whose look-up did not come that far.
   *
   * @param entryKey key of the answer that was stored, if any
   * @param lifeMs how long an answer is fresh
   */
  public async remember(entryKey: string | undefined, lifeMs: number): Promise<void> {
    const { vector } = this;
    if (!vector) return;
    const { scope, vectorKey } = this.question;
    await Promise.all([
      this.isNew && this.ports.vectors.set(vectorKey, vector, lifeMs),
      entryKey !== undefined && this.ports.index.add({ scope, vector, entryKey, lifeMs }),
    ]);
  }
}
