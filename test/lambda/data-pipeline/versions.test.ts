import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Manifest } from '../../../lambda/data-pipeline/versions/manifest';
import { publish, readManifest, rollBack } from '../../../lambda/data-pipeline/versions/publish';
import {
  ancestorsOf,
  currentVersion,
  publishedVersion,
  recordsOf,
  trace,
} from '../../../lambda/data-pipeline/versions/read-published';
import { retain } from '../../../lambda/data-pipeline/versions/retain';
import { putLines } from '../../../lambda/data-pipeline/running/line-object';
import { MemoryPointers, MemoryStore } from './memory-store';

const HOUR_MS = 3_600_000;

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
    const later = (ports.store.now += 25 * HOUR_MS);
    expect(await retain(2, ports, later)).toEqual([one]);
    for (const version of [two!, three!]) {
      const records = [];
      for await (const batch of recordsOf(await publishedVersion(version, ports), ports.store)) records.push(...batch);
      expect(records).toHaveLength(2);
    }
    // The manifest and its list of files; the part is in use by a run in progress.
    expect(before - ports.store.objects.size).toBe(2);
    expect(await retain(2, ports, later)).toEqual([]);
    await expect(rollBack(one, ports)).rejects.toThrow('cannot go back');
  });

  it('leave nothing behind that nothing names, once a run has had the time to name it', async () => {
    await publishAll('one');
    const named = [...ports.store.objects.keys()].sort();
    const orphan = await putLines(ports.store, ['{"id":"removed at the source"}']);
    const key = `objects/${orphan.sha256.slice(0, 2)}/${orphan.sha256}`;
    await retain(1, ports, ports.store.now + 23 * HOUR_MS);
    expect(ports.store.objects.has(key)).toBe(true);
    await retain(1, ports, ports.store.now + 25 * HOUR_MS);
    expect([...ports.store.objects.keys()].sort()).toEqual(named);
  });

  it('do not lose what another run writes again while objects are swept', async () => {
    await publishAll('one');
    const orphan = await putLines(ports.store, ['again']);
    const key = `objects/${orphan.sha256.slice(0, 2)}/${orphan.sha256}`;
    const list = ports.store.listWritten.bind(ports.store);
    ports.store.now += 25 * HOUR_MS;
    ports.store.listWritten = async function* (prefix) {
      for await (const listed of list(prefix)) {
        if (listed.key === key) await putLines(ports.store, ['again']);
        yield listed;
      }
    };
    await retain(1, ports, ports.store.now);
    expect(ports.store.objects.has(key)).toBe(true);
  });

  it('keep the manifest of one that is about to be shown, and not of one that never was', async () => {
    const [one] = await publishAll('one');
    const { version } = await publish(await manifest('two'), 0, ports);
    expect(await retain(2, ports, ports.store.now)).toEqual([]);
    expect(await retain(2, ports, ports.store.now + 25 * HOUR_MS)).toEqual([version]);
    expect((await currentVersion(ports))?.version).toBe(one);
  });

  it('are not published again by a run after they were rolled back from, unless it is asked to', async () => {
    const [one] = await publishAll('one', 'two');
    const two = await manifest('two');
    const { version } = await publish(two, 2, ports);
    await rollBack(undefined, ports);
    expect(await publish(two, 3, ports)).toEqual({ outcome: 'rolledBack', version });
    // Also where the roll-back came while the run was at work: running again would not help.
    expect(await publish(two, 2, ports)).toEqual({ outcome: 'rolledBack', version });
    expect(await publish(await manifest('one'), 3, ports)).toEqual({ outcome: 'unchanged', version: one });
    expect((await publish(await manifest('three'), 3, ports)).outcome).toBe('published');
    expect((await publish(two, 4, ports)).outcome).toBe('rolledBack');
    expect((await publish(two, 3, ports, true)).outcome).toBe('overtaken');
    expect(await publish(two, 4, ports, true)).toEqual({ outcome: 'published', version });
    // It is as good as any other then.
    await publish(await manifest('four'), 5, ports);
    expect((await publish(two, 6, ports)).outcome).toBe('published');
  });

  it('may be published again after a roll-back that led forward to a later one', async () => {
    const [one, two] = await publishAll('one', 'two');
    await rollBack(one, ports);
    await rollBack(two, ports);
    await publish(await manifest('three'), 4, ports);
    expect((await publish(await manifest('one'), 5, ports)).outcome).toBe('published');
    expect((await publish(await manifest('two'), 6, ports)).outcome).toBe('published');
  });

  it('tell where each record comes from, and what they were made of', async () => {
    const [one] = await publishAll('one');
    const child = await publish(await manifest('two', [one!, 'e'.repeat(32)]), 1, ports);
    const found = [];
    for await (const lineage of trace((await currentVersion(ports))!, ({ id }) => id === 'common', ports.store))
      found.push(lineage);
    expect(found).toEqual([{ record: { id: 'common' }, file: 'a.jsonl', offset: 10 }]);
    const ancestors = await ancestorsOf(child.version, ports.store);
    expect(
      ancestors.map(({ version, depth, isGone, manifest: known }) => [version, depth, isGone, known !== undefined]),
    ).toEqual([
      [child.version, 0, false, true],
      [one, 1, false, true],
      ['e'.repeat(32), 1, true, false],
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
    expect(await ancestorsOf(one!, ports.store)).toEqual([{ version: one, depth: 0, isGone: false }]);
  });
});
