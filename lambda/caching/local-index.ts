import type { IndexedEntry, IndexQuery, SemanticIndex, SimilarEntry } from './semantic-index';
import { isSimilar, similarityOf, type Vector } from './vector';

/** What the vectors may take of a function's memory: 8,192 of 1,024 dimensions. */
const MOST_BYTES = 32 * 1024 * 1024;

interface Known {
  readonly scope: string;
  readonly vector: Vector;
  readonly expiresAt: number;
}

/**
 * An exact index in this process: it compares with every entry of the scope. Each function instance has one of its own,
 * which begins empty; it stands in where the store cannot search. When it is full, the entry goes that has not been found
 * or added for the longest time.
 */
export class LocalIndex implements SemanticIndex {
  /** From the least to the most recently used. */
  private readonly entries = new Map<string, Known>();
  private readonly scopes = new Map<string, Set<string>>();
  private bytes = 0;

  /**
   * @param now milliseconds since 1970
   * @param mostBytes what the vectors may take
   */
  constructor(
    private readonly now: () => number,
    private readonly mostBytes = MOST_BYTES,
  ) {}

  /** {@inheritDoc SemanticIndex.search} */
  public search({ scope, vector, minimumSimilarity }: IndexQuery): Promise<SimilarEntry | undefined> {
    const now = this.now();
    let best: SimilarEntry | undefined;
    for (const entryKey of [...(this.scopes.get(scope) ?? [])]) {
      const known = this.entries.get(entryKey);
      if (!known || known.expiresAt <= now) {
        this.remove(entryKey);
        continue;
      }
      const similarity = similarityOf(known.vector, vector);
      if (similarity !== undefined && similarity > (best?.similarity ?? -Infinity)) best = { entryKey, similarity };
    }
    if (!best || !isSimilar(best.similarity, minimumSimilarity)) return Promise.resolve(undefined);
    this.use(best.entryKey);
    return Promise.resolve(best);
  }

  /** {@inheritDoc SemanticIndex.add} */
  public add({ scope, vector, entryKey, lifeMs }: IndexedEntry): Promise<void> {
    this.remove(entryKey);
    this.entries.set(entryKey, { scope, vector, expiresAt: this.now() + lifeMs });
    const keys = this.scopes.get(scope) ?? new Set();
    this.scopes.set(scope, keys.add(entryKey));
    this.bytes += vector.byteLength;
    for (const oldest of this.entries.keys()) {
      if (this.bytes <= this.mostBytes) break;
      this.remove(oldest);
    }
    return Promise.resolve();
  }

  private use(entryKey: string): void {
    const known = this.entries.get(entryKey);
    if (!known) return;
    this.entries.delete(entryKey);
    this.entries.set(entryKey, known);
  }

  private remove(entryKey: string): void {
    const known = this.entries.get(entryKey);
    if (!known) return;
    this.entries.delete(entryKey);
    this.bytes -= known.vector.byteLength;
    const keys = this.scopes.get(known.scope);
    keys?.delete(entryKey);
    if (keys?.size === 0) this.scopes.delete(known.scope);
  }
}
