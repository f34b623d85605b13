import type { IndexedEntry, IndexQuery, SemanticIndex, SimilarEntry } from '../caching/semantic-index';
import { bytesOf, isSimilar } from '../caching/vector';
import type { Trip } from './valkey-store';

/** Counts up when the documents' form changes, so that no function searches what another version wrote. */
const VERSION = 1;

/** How a command that the store does not have is answered, an index that does not exist, and one that does already. */
const UNKNOWN_COMMAND = /unknown command/i;
const NO_INDEX = /index\b.*\bnot found/i;
const INDEX_EXISTS = /index\b.*\balready exists/i;

/**
 * The index inside the store, by Valkey's search: one for each number of dimensions, shared by all function instances.
 *
 * It is FLAT, which compares with every vector of the scope: exact, and what expires leaves it. Valkey search 1.0, which
 * is ElastiCache's 8.2, never gives back what an expired vector took in the other kind, HNSW; AWS advises FLAT below
 * 100,000 entries. A document is a hash that lives as long as its answer is fresh; its name ends with the answer's key.
 *
 * `FT._LIST` is not asked which indexes there are: it is an administrative command, which the functions may not use.
 */
export class ValkeyIndex implements SemanticIndex {
  /** Dimensions whose index is known to exist. */
  private readonly existing = new Set<number>();
  private cannotSearch = false;

  /**
   * @param trip sends commands, on a connection of its own: a search, and the writing of what is indexed, hold up what
   * follows on the same one
   * @param timeoutMs the most that the store may take for a search
   * @param fallback stands in where the store cannot search
   * @param warn told once, where that is so
   */
  constructor(
    private readonly trip: Trip,
    private readonly timeoutMs: number,
    private readonly fallback: SemanticIndex,
    private readonly warn: (message: string) => void,
  ) {}

  /** {@inheritDoc SemanticIndex.search} */
  public search(query: IndexQuery): Promise<SimilarEntry | undefined> {
    return this.orFallback(
      () => this.searchStore(query),
      () => this.fallback.search(query),
    );
  }

  /** {@inheritDoc SemanticIndex.add} */
  public add(entry: IndexedEntry): Promise<void> {
    return this.orFallback(
      () => this.addToStore(entry),
      () => this.fallback.add(entry),
    );
  }

  private async orFallback<T>(ask: () => Promise<T>, fallback: () => Promise<T>): Promise<T> {
    if (this.cannotSearch) return fallback();
    try {
      return await ask();
    } catch (error) {
      if (!UNKNOWN_COMMAND.test(messageOf(error))) throw error;
      if (!this.cannotSearch) {
        this.warn('the store has no vector search: each function instance keeps an index of its own, in its memory');
      }
      this.cannotSearch = true;
      return fallback();
    }
  }

  private async searchStore({ scope, vector, minimumSimilarity }: IndexQuery): Promise<SimilarEntry | undefined> {
    const dimensions = vector.length;
    const query = `@scope:{${scope}}=>[KNN 1 @vector $vector AS distance]`;
    const options = ['PARAMS', '2', 'vector', bytesOf(vector), 'RETURN', '1', 'distance', 'LIMIT', '0', '1'];
    const limits = ['TIMEOUT', String(this.timeoutMs), 'DIALECT', '2'];
    try {
      const [reply] = await this.trip([
        { call: 'FT.SEARCH', args: [indexName(dimensions), query, ...options, ...limits] },
      ]);
      return nearest(reply, dimensions, minimumSimilarity);
    } catch (error) {
      if (!NO_INDEX.test(messageOf(error))) throw error;
      // Nothing was added yet, or the index went with the data of a store that began anew.
      this.existing.delete(dimensions);
      return undefined;
    }
  }

  private async addToStore({ scope, vector, entryKey, lifeMs }: IndexedEntry): Promise<void> {
    const dimensions = vector.length;
    if (!this.existing.has(dimensions)) await this.create(dimensions);
    const key = documentPrefix(dimensions) + entryKey;
    await this.trip([
      { call: 'HSET', args: [key, 'scope', scope, 'vector', bytesOf(vector)] },
      { call: 'PEXPIRE', args: [key, String(Math.ceil(lifeMs))] },
    ]);
  }

  /** Makes the index, unless another instance has. */
  private async create(dimensions: number): Promise<void> {
    const keys = ['ON', 'HASH', 'PREFIX', '1', documentPrefix(dimensions)];
    const form = ['TYPE', 'FLOAT32', 'DIM', String(dimensions), 'DISTANCE_METRIC', 'COSINE'];
    const schema = ['SCHEMA', 'scope', 'TAG', 'vector', 'VECTOR', 'FLAT', String(form.length), ...form];
    try {
      await this.trip([{ call: 'FT.CREATE', args: [indexName(dimensions), ...keys, ...schema] }]);
    } catch (error) {
      if (!INDEX_EXISTS.test(messageOf(error))) throw error;
    }
    this.existing.add(dimensions);
  }
}

/** Reads `[count, document, ['distance', '0.03']]`. Whoever ran out of time answers with a line of text. */
function nearest(reply: unknown, dimensions: number, minimumSimilarity: number): SimilarEntry | undefined {
  if (!Array.isArray(reply)) throw new Error(`the store did not search: ${String(reply)}`);
  const [, document, fields] = reply as [number, string?, string[]?];
  if (document === undefined) return undefined;
  const distance = Number(fields?.[1]);
  const prefix = documentPrefix(dimensions);
  if (fields?.[0] !== 'distance' || Number.isNaN(distance) || !document.startsWith(prefix)) {
    throw new Error(`the store found what nobody asked for: ${document.slice(0, 100)}`);
  }
  const similarity = 1 - distance;
  return isSimilar(similarity, minimumSimilarity) ? { entryKey: document.slice(prefix.length), similarity } : undefined;
}

/** The number of dimensions is part of the name: a change of embedding model makes another index. */
function indexName(dimensions: number): string {
  return `similar:${VERSION}:${dimensions}`;
}

function documentPrefix(dimensions: number): string {
  return `${indexName(dimensions)}:`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
