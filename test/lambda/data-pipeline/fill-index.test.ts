import { beforeEach, describe, expect, it } from '@jest/globals';
import { VectorDistance } from '../../../lib/policy';
import {
  activeIndex,
  fillAhead,
  indexName,
  switchIndex,
  type SwitchPorts,
} from '../../../lambda/data-pipeline/retrieval/switch-index';
import type { IndexedVector, VectorIndex, VectorIndexes } from '../../../lambda/data-pipeline/retrieval/vector-index';
import { putLines } from '../../../lambda/data-pipeline/running/line-object';
import type { Manifest } from '../../../lambda/data-pipeline/versions/manifest';
import type { PublishedVersion } from '../../../lambda/data-pipeline/versions/read-published';
import { MemoryPointers, MemoryStore } from './memory-store';

const SETTINGS = { leastRecall: 0.9, results: 1, distance: VectorDistance.EUCLIDEAN, fields: ['uri'], dimensions: 1 };
const PARTS = 6;

/** Indexes that are kept between calls, as those of S3 Vectors are. */
class KeptIndexes implements VectorIndexes {
  public readonly kept = new Map<string, { readonly identity: string; readonly vectors: Map<string, IndexedVector> }>();
  /** Ids of what was put, in order, with what was put twice. */
  public readonly puts: string[] = [];
  /** Called ahead of each put. */
  public putting: () => void = () => undefined;
  private made = 0;

  public async create(name: string): Promise<VectorIndex> {
    if (!this.kept.has(name)) this.kept.set(name, { identity: `${++this.made}`, vectors: new Map() });
    return (await this.open(name))!;
  }

  public open(name: string): Promise<VectorIndex | undefined> {
    const identity = this.kept.get(name)?.identity;
    if (identity === undefined) return Promise.resolve(undefined);
    return Promise.resolve({
      identity,
      put: (vectors) => {
        this.putting();
        const index = this.kept.get(name);
        if (!index) return Promise.reject(new Error('The specified index could not be found'));
        for (const vector of vectors) index.vectors.set(vector.id, vector);
        this.puts.push(...vectors.map(({ id }) => id));
        return Promise.resolve();
      },
      seal: () => Promise.resolve(),
      query: ([at], results) => {
        const all = [...this.kept.get(name)!.vectors.values()];
        const found = all.map(({ id, vector, fields }) => ({ id, fields, distance: Math.abs(vector[0]! - at!) }));
        return Promise.resolve(found.sort((a, b) => a.distance - b.distance).slice(0, results));
      },
    });
  }

  public drop(name: string): Promise<void> {
    this.kept.delete(name);
    return Promise.resolve();
  }
}

describe('the filling of an index', () => {
  let store: MemoryStore;
  let indexes: KeptIndexes;
  let active: MemoryPointers;
  let seen: string | undefined;
  let published: PublishedVersion;
  let ports: SwitchPorts;

  beforeEach(async () => {
    store = new MemoryStore();
    indexes = new KeptIndexes();
    active = new MemoryPointers();
    published = await version('1');
    seen = '1';
    const embed = (texts: readonly string[]) => Promise.resolve(texts.map((text) => [Number(text)]));
    ports = { store, indexes, active, embed, shown: () => Promise.resolve(seen) };
  });

  async function version(name: string): Promise<PublishedVersion> {
    const shards = await Promise.all(
      Array.from({ length: PARTS }, async (_, i) => ({
        part: await putLines(store, [JSON.stringify({ id: `${i}`, uri: `u${i}`, embedding: [i] })]),
      })),
    );
    const manifest = { pipeline: 'p', embedding: { model: 'm', dimensions: 1 }, shards };
    return { version: name, manifest: manifest as unknown as Manifest };
  }

  const ids = (name: string) => [...indexes.kept.get(name)!.vectors.keys()];
  const golden = Array.from({ length: PARTS }, (_, i) => ({ query: `${i}`, uri: `u${i}` }));
  const notes = () => [...store.objects.keys()].filter((key) => key.startsWith('indexes/'));
  /** A clock that has run out after so many looks. */
  const clock = (looks: number) => () => --looks > 0;

  it('takes as many calls as its time asks for, puts each part once, and leaves the switch to the next', async () => {
    const reports = [];
    for (let calls = 0; calls < 3; calls++) reports.push(await fillAhead(published, SETTINGS, ports, clock(2)));
    // After the last part no time was left for the golden set either.
    expect(reports).toEqual([2, 4, 6].map((parts) => ({ isFilled: false, parts, total: PARTS })));
    expect(await fillAhead(published, SETTINGS, ports, clock(2))).toEqual({ isFilled: true, parts: 6, total: PARTS });
    expect(await activeIndex(active)).toBeUndefined();
    const result = await switchIndex(published, golden, SETTINGS, ports);
    expect(result).toMatchObject({ isSwitched: true, recall: 1 });
    expect(indexes.puts).toEqual(['0', '1', '2', '3', '4', '5']);
    expect(ids(result.index)).toHaveLength(PARTS);
    expect(notes()).toEqual([]);
    expect(await fillAhead(published, SETTINGS, ports, clock(2))).toEqual({ isFilled: true, parts: 0, total: PARTS });
    expect(indexes.puts).toHaveLength(PARTS);
  });

  it('goes on after at least one part, however little time there is', async () => {
    for (let parts = 1; parts <= PARTS; parts++) {
      expect(await fillAhead(published, SETTINGS, ports, () => false)).toMatchObject({ isFilled: false, parts });
    }
    expect(await fillAhead(published, SETTINGS, ports, () => false)).toMatchObject({ isFilled: true });
  });

  it('goes on where a call was cut off, and puts no more than its last part again', async () => {
    let notesLeft = 3;
    const put = store.put.bind(store);
    store.put = (key, content) =>
      key.endsWith('filled.json') && notesLeft-- === 0 ? Promise.reject(new Error('cut off')) : put(key, content);
    await expect(fillAhead(published, SETTINGS, ports, () => true)).rejects.toThrow('cut off');
    expect(await fillAhead(published, SETTINGS, ports, () => true)).toMatchObject({ isFilled: true, parts: PARTS });
    // What was put, and not noted any more, is there once.
    expect(indexes.puts).toEqual(['0', '1', '2', '3', '3', '4', '5']);
    expect(ids(indexName(published, SETTINGS, undefined))).toHaveLength(PARTS);

    // The switch itself goes on too, as where nothing was filled ahead.
    const other = await version('2');
    seen = '2';
    let putsLeft = 5;
    indexes.putting = () => {
      if (putsLeft-- === 0) throw new Error('cut off');
    };
    await expect(switchIndex(other, golden, SETTINGS, ports)).rejects.toThrow('cut off');
    expect(await switchIndex(other, golden, SETTINGS, ports)).toMatchObject({ isSwitched: true, recall: 1 });
    expect(indexes.puts).toHaveLength(2 * PARTS + 1);
  });

  it('begins anew where the index that the note is about is gone', async () => {
    await fillAhead(published, SETTINGS, ports, clock(3));
    const [name] = indexes.kept.keys();
    await indexes.drop(name!);
    expect(await fillAhead(published, SETTINGS, ports, () => true)).toMatchObject({ isFilled: true });
    expect(ids(name!)).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  it('is not done where another has dropped the index meanwhile and made it anew', async () => {
    let puts = 0;
    indexes.putting = () => {
      if (++puts !== 4) return;
      const [name] = indexes.kept.keys();
      void indexes.drop(name!);
      void indexes.create(name!);
    };
    expect(await fillAhead(published, SETTINGS, ports, () => true)).toMatchObject({ isFilled: false });
    expect(await fillAhead(published, SETTINGS, ports, () => true)).toMatchObject({ isFilled: true });
    expect(await switchIndex(published, golden, SETTINGS, ports)).toMatchObject({ isSwitched: true, recall: 1 });
  });

  it('ends where readers see another version by now: the switch drops what there is, and says which', async () => {
    await fillAhead(published, SETTINGS, ports, clock(3));
    expect(notes()).toHaveLength(1);
    seen = '2';
    expect(await fillAhead(published, SETTINGS, ports, () => true)).toMatchObject({ isFilled: true, parts: 0 });
    expect(await switchIndex(published, golden, SETTINGS, ports)).toMatchObject({
      ...{ isSwitched: false, overtakenBy: '2', missed: [] },
    });
    expect([indexes.puts.length, indexes.kept.size, notes()]).toEqual([3, 0, []]);
  });

  it('of a version that is gone back to is of its own, beside what a switch before may be dropping', async () => {
    const first = await switchIndex(published, [], SETTINGS, ports);
    seen = '2';
    await switchIndex(await version('2'), [], SETTINGS, ports);
    seen = '1';
    await fillAhead(published, SETTINGS, ports, clock(2));
    const again = await switchIndex(published, golden, SETTINGS, ports);
    expect(again).toMatchObject({ isSwitched: true, recall: 1 });
    expect(again.index).not.toBe(first.index);
    expect([...indexes.kept.keys()]).toEqual([again.index]);
  });

  it('drops an index that finds too little with its note, so that the next run begins anew', async () => {
    const strange = [{ query: '0', uri: 'u5' }];
    expect(await switchIndex(published, strange, SETTINGS, ports)).toMatchObject({ isSwitched: false, recall: 0 });
    expect([indexes.kept.size, notes()]).toEqual([0, []]);
  });
});

describe('the name of an index', () => {
  const published = (pipeline: string, version = 'v') =>
    ({ version, manifest: { pipeline } as unknown as Manifest }) satisfies PublishedVersion;

  it('is one that S3 Vectors takes, however long the name of the pipeline', () => {
    for (const length of [1, 50, 63]) {
      expect(indexName(published('p'.repeat(length)), SETTINGS, undefined)).toMatch(/^p{1,50}-[0-9a-f]{12}$/);
    }
  });

  it('is another one for each version, switch and setting by which its content differs', () => {
    const after = { sequence: 1, version: 'u', index: 'i', reason: 'publish' } as const;
    const names = [
      indexName(published('p'), SETTINGS, undefined),
      indexName(published('p', 'w'), SETTINGS, undefined),
      indexName(published('p'), SETTINGS, after),
      indexName(published('p'), { ...SETTINGS, fields: ['uri', 'text'] }, undefined),
      indexName(published('p'), { ...SETTINGS, distance: VectorDistance.COSINE }, undefined),
    ];
    expect(new Set(names).size).toBe(names.length);
    expect(indexName(published('p'), SETTINGS, undefined)).toBe(names[0]);
  });
});
