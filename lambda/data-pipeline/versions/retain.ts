import { STAGING_PREFIX } from '../running/staging';
import type { ObjectStore } from '../storage';
import { DigestFilter } from './digest-filter';
import { manifestKey, OBJECTS_PREFIX } from './manifest';
import type { VersionPorts } from './publish';

/**
 * What is younger is not swept: a step of a run writes objects first and then what names them, and a step ends, or is ended,
 * well within a day.
 */
const UNNAMED_MS = 24 * 60 * 60 * 1000;

/** Digits of a digest. */
const DIGITS = 64;

/** Reads and listings at one time: objects are listed by the first digit of their names. */
const PARALLEL = 16;

/** Objects that one call deletes at the most, so that it ends within some minutes. The others are for the next. */
const MOST_SWEPT = 100_000;

/**
 * Deletes versions beyond those that are kept, and then the objects that nothing names: no version that is kept, and nothing
 * that a run has left in staging.
 *
 * @param versions how many are kept
 * @param now milliseconds since 1970
 * @returns the versions that are gone
 */
export async function retain(versions: number, { store, pointers }: VersionPorts, now: number): Promise<string[]> {
  const history = await pointers.history();
  const kept = new Set<string>();
  for (const { version } of [...history].reverse()) if (kept.size < versions) kept.add(version);
  const shown = new Set(history.map(({ version }) => version));
  const gone: string[] = [];
  for await (const { key, writtenAt } of store.listWritten('versions/')) {
    const version = /^versions\/([0-9a-f]{32})\.json$/.exec(key)?.[1];
    if (version === undefined || kept.has(version)) continue;
    // One that was never shown may be about to be: its manifest is written before the pointer is flipped.
    if (shown.has(version) || writtenAt < now - UNNAMED_MS) gone.push(version);
  }
  // Manifests go first: a version whose objects are going must not look whole.
  for (const version of gone) await store.delete(manifestKey(version));
  await sweep(await namedObjects(kept, store), now - UNNAMED_MS, store);
  return gone.sort();
}

/** All that looks like the digest of an object, in the manifests of versions and in staging. */
async function namedObjects(versions: Iterable<string>, store: ObjectStore): Promise<DigestFilter> {
  const named = new DigestFilter();
  const addAll = async (keys: readonly string[]) => {
    const contents = await Promise.all(keys.map((key) => store.get(key)));
    for (const content of contents) {
      for (const [digest] of content?.toString('latin1').matchAll(/[0-9a-f]{64}/g) ?? []) named.add(digest);
    }
  };
  // One by one: a manifest may be large, and what is in staging is not.
  for (const version of versions) await addAll([manifestKey(version)]);
  let waiting: string[] = [];
  for await (const key of store.list(STAGING_PREFIX)) {
    waiting.push(key);
    if (waiting.length < PARALLEL) continue;
    await addAll(waiting);
    waiting = [];
  }
  await addAll(waiting);
  return named;
}

async function sweep(named: DigestFilter, before: number, store: ObjectStore): Promise<void> {
  let swept = 0;
  const sweepBelow = async (prefix: string) => {
    for await (const { key, writtenAt } of store.listWritten(prefix)) {
      if (swept >= MOST_SWEPT) return;
      if (writtenAt >= before || named.has(key.slice(-DIGITS))) continue;
      // Asked for at the last moment: a run that writes again what was left makes it young.
      if (((await store.writtenAt(key)) ?? before) >= before) continue;
      swept++;
      await store.delete(key);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, (_, i) => sweepBelow(`${OBJECTS_PREFIX}${i.toString(PARALLEL)}`)));
}
