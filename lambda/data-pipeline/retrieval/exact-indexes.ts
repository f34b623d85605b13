import { VectorDistance } from '../../../lib/policy';
import type { ObjectStore } from '../storage';
import type { IndexedVector, Match, VectorIndex, VectorIndexes } from './vector-index';

/** Vectors in one object: 4 MiB of them at 1024 dimensions. */
const BLOCK = 1024;

interface Header {
  readonly dimensions: number;
  readonly distance: VectorDistance;
  /** Vectors in each block. */
  readonly blocks: readonly number[];
}

/**
 * Indexes that compare a query with every vector: exact, and in the memory of one block. For development, tests and up to some
 * hundred thousand vectors.
 */
export class ExactIndexes implements VectorIndexes {
  constructor(private readonly store: ObjectStore) {}

  /** {@inheritDoc VectorIndexes.create} */
  public async create(
    name: string,
    shape: { readonly dimensions: number; readonly distance: VectorDistance },
  ): Promise<VectorIndex> {
    await this.drop(name);
    return new ExactIndex(this.store, prefixOf(name), { ...shape, blocks: [] });
  }

  /** {@inheritDoc VectorIndexes.open} */
  public async open(name: string): Promise<VectorIndex | undefined> {
    const header = await this.store.get(`${prefixOf(name)}/header.json`);
    return header && new ExactIndex(this.store, prefixOf(name), JSON.parse(header.toString('utf8')) as Header);
  }

  /** {@inheritDoc VectorIndexes.drop} */
  public async drop(name: string): Promise<void> {
    const prefix = prefixOf(name);
    await this.store.delete(`${prefix}/header.json`);
    for await (const key of this.store.list(`${prefix}/`)) await this.store.delete(key);
  }
}

function prefixOf(name: string): string {
  return `indexes/${name}`;
}

class ExactIndex implements VectorIndex {
  private waiting = new Map<string, IndexedVector>();
  private readonly blocks: number[];

  constructor(
    private readonly store: ObjectStore,
    private readonly prefix: string,
    private readonly header: Header,
  ) {
    this.blocks = [...header.blocks];
  }

  public async put(vectors: readonly IndexedVector[]): Promise<void> {
    for (const vector of vectors) {
      if (vector.vector.length !== this.header.dimensions) {
        throw new Error(
          `the vector of ${vector.id} has ${vector.vector.length} numbers, where the index has ${this.header.dimensions}`,
        );
      }
      this.waiting.set(vector.id, vector);
      if (this.waiting.size >= BLOCK) await this.flush();
    }
  }

  public async seal(): Promise<void> {
    if (this.waiting.size > 0) await this.flush();
    await this.store.put(`${this.prefix}/header.json`, JSON.stringify({ ...this.header, blocks: this.blocks }));
  }

  public async query(vector: readonly number[], results: number): Promise<Match[]> {
    const { dimensions } = this.header;
    if (vector.length !== dimensions) {
      throw new Error(`the query has ${vector.length} numbers, where the index has ${dimensions}`);
    }
    const nearest = new Map<string, { distance: number; block: number; row: number }>();
    const distanceOf = this.header.distance === VectorDistance.COSINE ? cosineDistance : euclideanDistance;
    for (const [block, count] of this.blocks.entries()) {
      const bytes = (await this.store.get(this.key(block, 'f32')))!;
      const ids = (await this.store.get(this.key(block, 'ids')))!.toString('utf8').split('\n');
      const numbers = new Float32Array(new Uint8Array(bytes).buffer);
      for (let row = 0; row < count; row++) {
        const from = row * dimensions;
        const distance = distanceOf(vector, numbers.subarray(from, from + dimensions));
        nearest.set(ids[row]!, { distance, block, row });
      }
      // No more are kept from block to block than can be answers.
      const sorted = [...nearest].sort(([a, one], [b, other]) => one.distance - other.distance || (a < b ? -1 : 1));
      for (const [id] of sorted.slice(results)) nearest.delete(id);
    }
    return Promise.all(
      [...nearest]
        .sort(([a, one], [b, other]) => one.distance - other.distance || (a < b ? -1 : 1))
        .map(async ([id, { distance, block, row }]) => {
          const lines = (await this.store.get(this.key(block, 'fields')))!.toString('utf8').split('\n');
          return { id, distance, fields: JSON.parse(lines[row]!) as Match['fields'] };
        }),
    );
  }

  private async flush(): Promise<void> {
    const vectors = [...this.waiting.values()];
    this.waiting = new Map();
    const block = this.blocks.length;
    const numbers = Float32Array.from(vectors.flatMap(({ vector }) => vector));
    await this.store.put(this.key(block, 'f32'), new Uint8Array(numbers.buffer));
    await this.store.put(this.key(block, 'ids'), vectors.map(({ id }) => id).join('\n'));
    await this.store.put(this.key(block, 'fields'), vectors.map(({ fields }) => JSON.stringify(fields)).join('\n'));
    this.blocks.push(vectors.length);
  }

  private key(block: number, what: string): string {
    return `${this.prefix}/${String(block).padStart(6, '0')}.${what}`;
  }
}

function cosineDistance(a: readonly number[], b: Float32Array): number {
  let [product, one, other] = [0, 0, 0];
  for (let i = 0; i < b.length; i++) {
    product += a[i]! * b[i]!;
    one += a[i]! * a[i]!;
    other += b[i]! * b[i]!;
  }
  return one === 0 || other === 0 ? 1 : 1 - product / Math.sqrt(one * other);
}

function euclideanDistance(a: readonly number[], b: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < b.length; i++) squares += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(squares);
}
