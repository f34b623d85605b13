import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { LocalIndex } from '../../../lambda/caching/local-index';
import { vectorOf } from '../../../lambda/caching/vector';
import { StoreConnection } from '../../../lambda/store/connection';
import { ValkeyIndex } from '../../../lambda/store/valkey-index';
import { vectorCache } from '../../../lambda/store/vector-cache';
import { describeEachStore } from '../../store-servers';
import { type SearchServer, startSearchServer } from '../search-server';

const SCOPE = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const ENTRY = '{acme}:cache:0123';
/** Vectors of two dimensions whose cosine with `at(1)` is the argument. */
const at = (cosine: number) => vectorOf([cosine, Math.sqrt(1 - cosine ** 2)])!;

/** An index on a connection of its own. */
function open(url: string, timeoutMs = 500) {
  const connection = new StoreConnection({ url, timeoutMs, connectTimeoutMs: 1000, onError: () => undefined });
  const warnings: string[] = [];
  const index = new ValkeyIndex(
    (commands) => connection.trip(commands),
    timeoutMs,
    new LocalIndex(Date.now),
    (message) => warnings.push(message),
  );
  return { connection, index, warnings, vectors: vectorCache((commands) => connection.trip(commands)) };
}

describe('the index in a store that searches', () => {
  let server: SearchServer;
  let opened: ReturnType<typeof open>;

  beforeEach(async () => {
    server = await startSearchServer();
    opened = open(server.url);
  });
  afterEach(async () => {
    opened.connection.close();
    await server.close();
  });

  const names = () => server.commands.map(([name]) => name).filter((name) => name !== 'INFO');

  it('finds the nearest entry of its scope, from the least similarity on, and no other', async () => {
    const { index } = opened;
    const add = (entryKey: string, cosine: number, scope = SCOPE) =>
      index.add({ scope, vector: at(cosine), entryKey, lifeMs: 60_000 });
    await add('{acme}:cache:far', 0.9);
    await add('{acme}:cache:near', 0.98);
    await add('{acme}:cache:elsewhere', 1, OTHER);
    const search = (minimumSimilarity: number) => index.search({ scope: SCOPE, vector: at(1), minimumSimilarity });
    expect(await search(0.95)).toEqual({ entryKey: '{acme}:cache:near', similarity: expect.closeTo(0.98, 6) });
    expect(await search(0.98)).toMatchObject({ entryKey: '{acme}:cache:near' });
    expect(await search(0.981)).toBeUndefined();
    expect(await index.search({ scope: OTHER, vector: at(1), minimumSimilarity: 1 })).toEqual({
      entryKey: '{acme}:cache:elsewhere',
      similarity: expect.closeTo(1, 6),
    });
  });

  it('makes the index once, when the first entry is added, in the form that the documentation asks for', async () => {
    const { index } = opened;
    expect(await index.search({ scope: SCOPE, vector: at(1), minimumSimilarity: 0.9 })).toBeUndefined();
    await index.add({ scope: SCOPE, vector: at(1), entryKey: ENTRY, lifeMs: 1500.4 });
    await index.add({ scope: SCOPE, vector: at(0.5), entryKey: ENTRY, lifeMs: 1500.4 });
    expect(names()).toEqual(['FT.SEARCH', 'FT.CREATE', 'HSET', 'PEXPIRE', 'HSET', 'PEXPIRE']);
    expect(server.commands.find(([name]) => name === 'FT.CREATE')!.join(' ')).toBe(
      'FT.CREATE similar:1:2 ON HASH PREFIX 1 similar:1:2: SCHEMA scope TAG ' +
        'vector VECTOR FLAT 6 TYPE FLOAT32 DIM 2 DISTANCE_METRIC COSINE',
    );
    expect(server.commands.find(([name]) => name === 'FT.SEARCH')).toEqual([
      ...['FT.SEARCH', 'similar:1:2', `@scope:{${SCOPE}}=>[KNN 1 @vector $vector AS distance]`],
      ...['PARAMS', '2', 'vector', '0000803f00000000', 'RETURN', '1', 'distance', 'LIMIT', '0', '1'],
      ...['TIMEOUT', '500', 'DIALECT', '2'],
    ]);
    expect(server.commands.at(-1)).toEqual(['PEXPIRE', `similar:1:2:${ENTRY}`, '1501']);
  });

  it('lets instances race for the making of it', async () => {
    const other = open(server.url);
    const entry = (entryKey: string) => ({ scope: SCOPE, vector: at(1), entryKey, lifeMs: 60_000 });
    await Promise.all([opened.index.add(entry(ENTRY)), other.index.add(entry('{acme}:cache:4567'))]);
    expect(names().filter((name) => name === 'FT.CREATE')).toHaveLength(2);
    expect(await other.index.search({ scope: SCOPE, vector: at(1), minimumSimilarity: 1 })).toBeDefined();
    other.connection.close();
  });

  it('forgets an entry when its answer is past its time', async () => {
    const { index } = opened;
    await index.add({ scope: SCOPE, vector: at(1), entryKey: ENTRY, lifeMs: 40 });
    await pause(60);
    expect(await index.search({ scope: SCOPE, vector: at(1), minimumSimilarity: 0.1 })).toBeUndefined();
  });

  it('keeps another index for vectors of another length', async () => {
    const { index } = opened;
    await index.add({ scope: SCOPE, vector: at(1), entryKey: ENTRY, lifeMs: 60_000 });
    const vector = vectorOf([1, 0, 0])!;
    expect(await index.search({ scope: SCOPE, vector, minimumSimilarity: 0.1 })).toBeUndefined();
    await index.add({ scope: SCOPE, vector, entryKey: ENTRY, lifeMs: 60_000 });
    expect(await index.search({ scope: SCOPE, vector, minimumSimilarity: 0.1 })).toMatchObject({ entryKey: ENTRY });
  });

  it('begins anew with a store that has', async () => {
    const { index } = opened;
    const entry = { scope: SCOPE, vector: at(1), entryKey: ENTRY, lifeMs: 60_000 };
    await index.add(entry);
    server.flush();
    expect(await index.search({ ...entry, minimumSimilarity: 0.1 })).toBeUndefined();
    await index.add(entry);
    expect(await index.search({ ...entry, minimumSimilarity: 0.1 })).toMatchObject({ entryKey: ENTRY });
  });

  it('fails where the store refuses, runs out of time or answers what was not asked, and searches on afterwards', async () => {
    const { index, warnings } = opened;
    const query = { scope: SCOPE, vector: at(1), minimumSimilarity: 0.1 };
    await index.add({ ...query, entryKey: ENTRY, lifeMs: 60_000 });
    const refusal = "NOPERM User someone has no permissions to run the 'ft.search' command";
    server.replies.set('FT.SEARCH', () => new Error(refusal));
    await expect(index.search(query)).rejects.toThrow(refusal);
    server.replies.set('FT.SEARCH', () => 'Request timed out');
    await expect(index.search(query)).rejects.toThrow('Request timed out');
    server.replies.set('FT.SEARCH', () => [1, 'someone:else', ['distance', '0']]);
    await expect(index.search(query)).rejects.toThrow('someone:else');
    server.replies.set('FT.SEARCH', () => [1, `similar:1:2:${ENTRY}`, ['score', '0']]);
    await expect(index.search(query)).rejects.toThrow('what nobody asked for');
    server.replies.set('FT.CREATE', () => new Error('Maximum number of indexes reached (10)'));
    const vector = vectorOf([1, 0, 0])!;
    await expect(index.add({ scope: SCOPE, vector, entryKey: ENTRY, lifeMs: 1 })).rejects.toThrow('Maximum number');
    server.replies.clear();
    expect(await index.search(query)).toMatchObject({ entryKey: ENTRY });
    expect(warnings).toEqual([]);
  });
});

describeEachStore('a store that cannot search', (url) => {
  it('is told once, and an index of this process stands in', async () => {
    const { connection, index, warnings } = open(url());
    const entry = { scope: SCOPE, vector: at(1), entryKey: ENTRY, lifeMs: 60_000 };
    expect(await index.search({ ...entry, minimumSimilarity: 0.9 })).toBeUndefined();
    await Promise.all([index.add(entry), index.add({ ...entry, entryKey: 'other', vector: at(0.5) })]);
    expect(await index.search({ ...entry, minimumSimilarity: 0.9 })).toMatchObject({ entryKey: ENTRY });
    expect(warnings).toEqual([expect.stringContaining('no vector search')]);
    connection.close();
  });

  it('keeps the vectors of texts all the same, bit for bit, for as long as it is told', async () => {
    const { connection, vectors } = open(url());
    const vector = vectorOf(Array.from({ length: 1024 }, (_, i) => Math.sin(i)))!;
    await vectors.set('{acme}:vector:x', vector, 60_000);
    expect(await vectors.get('{acme}:vector:x')).toEqual(vector);
    await vectors.set('{acme}:vector:y', vector, 20);
    await pause(60);
    expect(await vectors.get('{acme}:vector:y')).toBeUndefined();
    connection.close();
  });
});
