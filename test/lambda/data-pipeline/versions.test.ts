import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Manifest } from '../../../lambda/data-pipeline/versions/manifest';
import { publish, readManifest, retain, rollBack } from '../../../lambda/data-pipeline/versions/publish';
import {
  ancestorsOf,
  currentVersion,
  publishedVersion,
  recordsOf,
  trace,
} from '../../../lambda/data-pipeline/versions/read-published';
import { putLines } from '../../../lambda/data-pipeline/running/line-object';
import { MemoryPointers, MemoryStore } from './memory-store';

describe('versions', () => {
  let ports: { store: MemoryStore; pointers: MemoryPointers };
  beforeEach(() => {
    ports = { store: new MemoryStore(), pointers: new MemoryPointers() };
  });

  async function manifest(text: string, parents: string[] = []): Promise<Manifest> {
    const put = (lines: string[]) => putLines(ports.store, lines);
    const part = await put([JSON.stringify({ id: text }), JSON.stringify({ id: 'common' })]);
    const origins = await put([JSON.stringify(['a.jsonl', 0, 0, '']), JSON.stringify(['a.jsonl', 10, 1, ''])]);
    const shard = {
      index: 0,
      read: 2,
      faulty: 0,
      stages: [],
      faults: {},
      part,
      origins,
      quarantine: await put([]),
      keys: await put([]),
      profile: await put(['{}']),
    };
    const counts = { read: 2, published: 2, quarantined: 0, faulty: 0 };
    const rest = {
      reading: {},
      stages: [],
      schema: {},
      references: [],
      counts,
      profile: await put(['{}']),
      inputs: await put([text]),
    };
    return { format: 1, pipeline: 'p', definition: 'd', code: 'c', parents, shards: [shard], ...rest };
  }

  const publishAll = async (...texts: string[]) => {
    const versions: string[] = [];
    for (const text of texts)
      versions.push((await publish(await manifest(text), ports.pointers.list.length, ports)).version);
    return versions;
  };

  it('are seen by readers once the pointer is flipped, and not before', async () => {
    expect(await currentVersion(ports)).toBeUndefined();
    const [first] = await publishAll('one');
    expect((await currentVersion(ports))?.version).toBe(first);
    const unseen = await manifest('two');
    expect((await publish(unseen, 0, ports)).outcome).toBe('overtaken');
    expect((await currentVersion(ports))?.version).toBe(first);
    await expect(publishedVersion((await publish(unseen, 0, ports)).version, ports)).rejects.toThrow(
      'was never published',
    );
  });

  it('are published by one of two runs that end together', async () => {
    const [one, two] = [await manifest('one'), await manifest('two')];
    const outcomes = (await Promise.all([publish(one, 0, ports), publish(two, 0, ports)])).map(
      ({ outcome }) => outcome,
    );
    expect(outcomes.sort()).toEqual(['overtaken', 'published']);
    expect((await publish(one, 1, ports)).outcome).toBe('unchanged');
    expect(ports.pointers.list).toHaveLength(1);
  });

  it('can be gone back to, one after another or by name', async () => {
    const [one, two, three] = await publishAll('one', 'two', 'three');
    expect(await rollBack(undefined, ports)).toBe(two);
    expect(await rollBack(undefined, ports)).toBe(one);
    await expect(rollBack(undefined, ports)).rejects.toThrow('cannot go back to an earlier version');
    expect(await rollBack(three, ports)).toBe(three);
    await expect(rollBack('f'.repeat(32), ports)).rejects.toThrow(
      `cannot go back to ${'f'.repeat(32)}; earlier versions: ${one}, ${two}`,
    );
    expect(ports.pointers.list.map(({ reason }) => reason)).toEqual([
      'publish',
      'publish',
      'publish',
      'rollback',
      'rollback',
      'rollback',
    ]);
  });

  it('can be gone back to where one of them was published again, and where others are gone', async () => {
    const [one, two] = await publishAll('one', 'two', 'one');
    expect(await rollBack(undefined, ports)).toBe(two);
    const [three, four] = await publishAll('three', 'four');
    await ports.store.delete(`versions/${three}.json`);
    await expect(rollBack(three, ports)).rejects.toThrow(
      `cannot go back to ${three}; earlier versions: ${one}, ${two}`,
    );
    expect((await ports.pointers.current())!.version).toBe(four);
    expect(await rollBack(undefined, ports)).toBe(two);
  });

  it('beyond retention are deleted with what no other version refers to', async () => {
    const [one, two, three] = await publishAll('one', 'two', 'three');
    await ports.store.put(
      'staging/x/shards/0.json',
      JSON.stringify((await readManifest(one!, ports.store)).shards[0]!),
    );
    const before = ports.store.objects.size;
    expect(await retain(2, ports)).toEqual([one]);
    for (const version of [two!, three!]) {
      const records = [];
      for await (const batch of recordsOf(await publishedVersion(version, ports), ports.store)) records.push(...batch);
      expect(records).toHaveLength(2);
    }
    // The manifest and its list of files; the part is in use by a run in progress.
    expect(before - ports.store.objects.size).toBe(2);
    expect(await retain(2, ports)).toEqual([]);
    await expect(rollBack(one, ports)).rejects.toThrow('cannot go back');
  });

  it('tell where each record comes from, and what they were made of', async () => {
    const [one] = await publishAll('one');
    const child = await publish(await manifest('two', [one!, 'e'.repeat(32)]), 1, ports);
    const found = [];
    for await (const lineage of trace((await currentVersion(ports))!, ({ id }) => id === 'common', ports.store))
      found.push(lineage);
    expect(found).toEqual([{ record: { id: 'common' }, file: 'a.jsonl', offset: 10 }]);
    const ancestors = await ancestorsOf(child.version, ports.store);
    expect(ancestors.map(({ version, depth, manifest: known }) => [version, depth, known !== undefined])).toEqual([
      [child.version, 0, true],
      [one, 1, true],
      ['e'.repeat(32), 1, false],
    ]);
  });

  it('whose bytes were changed are not read', async () => {
    const [one] = await publishAll('one');
    const published = (await currentVersion(ports))!;
    const { sha256 } = published.manifest.shards[0]!.part;
    await ports.store.put(`objects/${sha256.slice(0, 2)}/${sha256}`, 'tampered\n');
    await expect(recordsOf(published, ports.store).next()).rejects.toThrow('is not what was written');
    await ports.store.put(`versions/${one}.json`, '{}');
    await expect(currentVersion(ports)).rejects.toThrow('is not what was written');
  });
});
