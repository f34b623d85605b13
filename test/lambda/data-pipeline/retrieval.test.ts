import { beforeEach, describe, expect, it } from '@jest/globals';
import { VectorDistance } from '../../../lib/policy';
import { queryEmbedderOf } from '../../../lambda/data-pipeline/retrieval/embed-queries';
import { ExactIndexes } from '../../../lambda/data-pipeline/retrieval/exact-indexes';
import { Retriever } from '../../../lambda/data-pipeline/retrieval/retrieve';
import { activeIndex, switchIndex, type SwitchPorts } from '../../../lambda/data-pipeline/retrieval/switch-index';
import { putLines } from '../../../lambda/data-pipeline/running/line-object';
import type { Manifest } from '../../../lambda/data-pipeline/versions/manifest';
import { answerService, type BalancerAnswer } from '../../../lambda/data-pipeline/service-call';
import type { Embedding, Pointer } from '../../../lambda/data-pipeline/storage';
import { MemoryPointers, MemoryStore } from './memory-store';

const EMBEDDING = { model: 'm', dimensions: 3 };
const SETTINGS = { leastRecall: 0.9, results: 2, distance: VectorDistance.COSINE, fields: ['uri'], dimensions: 3 };

describe('the exact index', () => {
  it.each(Object.values(VectorDistance))(
    'finds the nearest by %s, over the borders of its blocks',
    async (distance) => {
      const store = new MemoryStore();
      const index = await new ExactIndexes(store).create('x', { dimensions: 3, distance });
      const vectors = Array.from({ length: 2500 }, (_, i) => ({
        id: `v${i}`,
        vector: [Math.sin(i), Math.cos(i * 1.7), i / 2500],
        fields: { uri: `u${i}` },
      }));
      await index.put(vectors);
      await index.put([{ id: 'v7', vector: [9, 9, 9], fields: { uri: 'new' } }]);
      await index.seal();
      const query = [0.3, -0.2, 0.9];
      const length = (v: readonly number[]) => Math.hypot(...v);
      const dot = (v: readonly number[]) => v.reduce((sum, value, i) => sum + value * query[i]!, 0);
      const of = (v: readonly number[]) =>
        distance === VectorDistance.COSINE
          ? 1 - dot(v) / length(v) / length(query)
          : length(v.map((value, i) => value - query[i]!));
      const expected = vectors
        .filter(({ id }) => id !== 'v7')
        .sort((a, b) => of(a.vector) - of(b.vector))
        .slice(0, 5);
      const opened = (await new ExactIndexes(store).open('x'))!;
      expect((await opened.query(query, 5)).map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
      expect((await opened.query([1, 1, 1], 1))[0]).toMatchObject(
        distance === VectorDistance.COSINE ? { id: 'v7', fields: { uri: 'new' } } : {},
      );
      await expect(opened.query([1, 2], 1)).rejects.toThrow('the query has 2 numbers, where the index has 3');
      await expect(index.put([{ id: 'a', vector: [1], fields: {} }])).rejects.toThrow(
        'the vector of a has 1 numbers, where the index has 3',
      );
    },
  );
});

describe('the switch to a new index', () => {
  let store: MemoryStore;
  let indexes: ExactIndexes;
  let active: MemoryPointers;
  /** The version that readers see. */
  let seen: string;
  beforeEach(() => {
    store = new MemoryStore();
    indexes = new ExactIndexes(store);
    active = new MemoryPointers();
  });

  const PAGES: Record<string, number[]> = { cat: [1, 0, 0], dog: [0, 1, 0], car: [0, 0, 1], bus: [0, 0.1, 1] };
  const embed = (texts: readonly string[]) => Promise.resolve(texts.map((text) => PAGES[text]!));

  async function version(name: string, pages: string[]) {
    const lines = pages.map((page) => JSON.stringify({ id: page, uri: page, embedding: PAGES[page]!, secret: 1 }));
    const shard = { part: await putLines(store, lines) };
    return {
      version: name,
      manifest: { pipeline: 'p', embedding: EMBEDDING, shards: [shard] } as unknown as Manifest,
    };
  }

  const ports = (change: Partial<SwitchPorts> = {}): SwitchPorts => ({
    ...{ store, indexes, embed, active, shown: () => Promise.resolve(seen) },
    ...change,
  });
  const switchTo = async (name: string, pages: string[], asked: string[], change: Partial<SwitchPorts> = {}) => {
    seen = name;
    return switchIndex(await version(name, pages), golden(...asked), SETTINGS, ports(change));
  };
  const golden = (...pages: string[]) => pages.map((page) => ({ query: page, uri: page }));
  const ask = async (page: string) => {
    const index = await indexes.open((await activeIndex(active))!.index);
    return (await index!.query(PAGES[page]!, 1))[0]!;
  };

  it('is made where the golden set is found, and what was deleted from the data is gone with it', async () => {
    const first = await switchTo('1', ['cat', 'dog'], ['cat', 'dog']);
    expect(first).toMatchObject({ isSwitched: true, recall: 1, missed: [] });
    expect(await ask('dog')).toEqual({ id: 'dog', distance: expect.closeTo(0), fields: { uri: 'dog' } });
    const second = await switchTo('2', ['cat', 'car'], ['cat', 'car']);
    expect(second.isSwitched).toBe(true);
    expect((await ask('dog')).id).not.toBe('dog');
    expect(await indexes.open(first.index)).toBeUndefined();
    expect([...store.objects.keys()].filter((key) => key.includes(first.index))).toEqual([]);
  });

  it('is not made where too little of it is found: the old index answers on, and nothing is left of the new one', async () => {
    const first = await switchTo('1', ['cat', 'dog', 'car'], []);
    const second = await switchTo('2', ['cat'], ['cat', 'dog', 'car']);
    expect(second).toMatchObject({ isSwitched: false, recall: expect.closeTo(1 / 3), missed: golden('dog', 'car') });
    expect((await activeIndex(active))!.index).toBe(first.index);
    expect((await ask('dog')).id).toBe('dog');
    expect([...store.objects.keys()].filter((key) => key.includes(second.index))).toEqual([]);
  });

  const kept = () => new Set([...store.objects.keys()].flatMap((key) => /^indexes\/([^/]+)/.exec(key)?.[1] ?? []));

  it('is won by the version that readers see, where two end together, and the other is told', async () => {
    const first = await switchTo('1', ['cat'], []);
    const [two, three] = [await version('2', ['cat', 'dog']), await version('3', ['cat', 'car'])];
    seen = '3';
    for (const order of [
      [two, three],
      [three, two],
    ]) {
      const results = await Promise.all(order.map((each) => switchIndex(each, [], SETTINGS, ports())));
      const [loser, winner] = order[0] === two ? results : [...results].reverse();
      expect(winner).toMatchObject({ isSwitched: true });
      expect(loser).toEqual({ index: loser!.index, isSwitched: false, missed: [], overtakenBy: '3' });
      expect(await activeIndex(active)).toEqual({ index: winner!.index, version: '3', embedding: EMBEDDING });
      expect(await ask('car')).toMatchObject({ id: 'car' });
      expect(kept()).toEqual(new Set([winner!.index]));
    }
    expect(await indexes.open(first.index)).toBeUndefined();
  });

  it('is tried again where another has flipped the pointer between', async () => {
    await switchTo('1', ['cat'], []);
    let isMeddled = false;
    const meddling = {
      current: () => active.current(),
      history: () => active.history(),
      flip: async (next: Pointer) => {
        // A run that began before has ended just here.
        if (!isMeddled) await active.flip({ ...next, version: '0', index: 'p-of-another' });
        isMeddled = true;
        return active.flip(next);
      },
    };
    expect(await switchTo('2', ['cat', 'dog'], [], { active: meddling })).toMatchObject({ isSwitched: true });
    expect(active.list.map(({ sequence, version: name }) => [sequence, name])).toEqual([
      [1, '1'],
      [2, '0'],
      [3, '2'],
    ]);
  });

  it('gives way to a roll-back that comes with the flip: the index that the roll-back relies on is not dropped', async () => {
    const first = await switchTo('1', ['cat'], []);
    const rollingBack = {
      current: () => active.current(),
      history: () => active.history(),
      flip: (next: Pointer) => {
        seen = '1';
        return active.flip(next);
      },
    };
    const second = await switchTo('2', ['cat', 'dog'], [], { active: rollingBack });
    expect(second).toMatchObject({ isSwitched: false, overtakenBy: '1' });
    expect(await activeIndex(active)).toEqual({ index: first.index, version: '1', embedding: EMBEDDING });
    expect(await ask('cat')).toMatchObject({ id: 'cat' });
    expect(kept()).toEqual(new Set([first.index]));
  });
});

describe('a service of retrieval', () => {
  const WORK = {
    kind: 'embed' as const,
    ...{ model: 'new', dimensions: 3, requestDimensions: true, field: 'text', context: [] },
    ...{ batchSize: 1, parallelCalls: 1, attempts: 1 },
  };
  const asked: object[] = [];
  /** Each model gives vectors of as many numbers as its name has letters. */
  const embed = queryEmbedderOf(WORK, ({ model, dimensions, requestDimensions }) => (texts) => {
    asked.push({ model, dimensions, requestDimensions });
    return Promise.resolve(texts.map(() => [...model].map(() => 1)));
  });

  async function served(embedding: Embedding | undefined) {
    const [indexes, active] = [new ExactIndexes(new MemoryStore()), new MemoryPointers()];
    const built = await indexes.create('i', { dimensions: 4, distance: VectorDistance.COSINE });
    await built.put([{ id: 'a', vector: [1, 1, 1, 1], fields: {} }]);
    await built.seal();
    await active.flip({ sequence: 1, version: 'v', index: 'i', ...(embedding && { embedding }), reason: 'publish' });
    const retriever = new Retriever('p', 1, { active, indexes, embed, now: () => 0 });
    const event = { requestContext: { elb: {} }, httpMethod: 'POST', path: '/', body: '{"query":"x"}' };
    const failures: string[] = [];
    const { statusCode, body } = (await answerService(
      event,
      (request) => retriever.retrieve(request),
      (error) => failures.push(String(error)),
    )) as BalancerAnswer;
    return { statusCode, body: JSON.parse(body) as object, failures };
  }

  it('asks the index by what its vectors were made with, whatever the definition says by now', async () => {
    const embedding = { model: 'gone', dimensions: 4, requestDimensions: false };
    const match = { id: 'a', distance: expect.closeTo(0), fields: {} };
    expect(await served(embedding)).toMatchObject({ statusCode: 200, body: { version: 'v', matches: [match] } });
    expect(asked.at(-1)).toEqual(embedding);
  });

  it('refuses where the model gives vectors of another length, or nobody knows which it was', async () => {
    const error = { error: { type: 'server_error', message: 'the service cannot answer now' } };
    expect(await served({ model: 'other', dimensions: 4 })).toMatchObject({
      ...{ statusCode: 503, body: error },
      failures: ['Error: other gives a query 5 numbers, where the index has 4'],
    });
    expect(await served(undefined)).toMatchObject({
      ...{ statusCode: 503, body: error },
      failures: ['Error: the query has 3 numbers, where the index has 4'],
    });
  });
});
