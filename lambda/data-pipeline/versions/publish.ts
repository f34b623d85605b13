import type { ObjectStore, Pointer, PointerStore } from '../storage';
import { type Manifest, manifestBytes, manifestKey, objectKey, type ObjectReference, versionOf } from './manifest';

/** Where versions are kept. */
export interface VersionPorts {
  readonly store: ObjectStore;
  readonly pointers: PointerStore;
}

/** What publishing came to. */
export type Publication =
  | { readonly outcome: 'published' | 'unchanged'; readonly version: string }
  /** Another run or a roll-back has moved the pointer since this run began. */
  | { readonly outcome: 'overtaken'; readonly version: string; readonly by: string };

/**
 * Makes a version the one that readers see. Its manifest is written first, so that readers who follow the pointer find all of
 * it; the pointer is flipped only from where it stood when the run began.
 *
 * @param sequence sequence number of the pointer when the run began, 0 for none
 */
export async function publish(
  manifest: Manifest,
  sequence: number,
  { store, pointers }: VersionPorts,
): Promise<Publication> {
  const bytes = manifestBytes(manifest);
  const version = versionOf(bytes);
  await store.put(manifestKey(version), bytes);
  const current = await pointers.current();
  if (current?.version === version) return { outcome: 'unchanged', version };
  const isFlipped =
    (current?.sequence ?? 0) === sequence &&
    (await pointers.flip({ sequence: sequence + 1, version, reason: 'publish' }));
  if (isFlipped) return { outcome: 'published', version };
  const after = await pointers.current();
  if (after?.version === version) return { outcome: 'unchanged', version };
  return { outcome: 'overtaken', version, by: after?.version ?? 'nothing' };
}

/**
 * Makes an earlier version the one that readers see again, in one step: nothing is written but the pointer.
 *
 * @param version an earlier version that is kept; the one before the current one where none is given
 * @throws an error that names the versions which can be gone back to
 */
export async function rollBack(version: string | undefined, { store, pointers }: VersionPorts): Promise<string> {
  const history = await pointers.history();
  const current = history.at(-1);
  if (!current) throw new Error('nothing is published yet');
  const kept = new Set<string>();
  for await (const key of store.list('versions/')) kept.add(key);
  const there = history.filter(({ version: name }) => name === current.version || kept.has(manifestKey(name)));
  const earlier = [...new Set(there.map((pointer) => pointer.version))].filter((name) => name !== current.version);
  const target = version ?? previousOf(there, current.version);
  if (target === undefined || !earlier.includes(target)) {
    const known = earlier.length === 0 ? 'none' : earlier.join(', ');
    throw new Error(`cannot go back to ${target ?? 'an earlier version'}; earlier versions: ${known}`);
  }
  if (await pointers.flip({ sequence: current.sequence + 1, version: target, reason: 'rollback' })) return target;
  throw new Error('the pointer was moved by another at the same time; look at the versions and try again');
}

/** What readers saw before the version was last published: going back twice leads two versions back. */
function previousOf(history: readonly Pointer[], version: string): string | undefined {
  const last = history.findLastIndex((pointer) => pointer.version === version && pointer.reason === 'publish');
  return history.slice(0, Math.max(0, last)).findLast((pointer) => pointer.version !== version)?.version;
}

/**
 * Deletes versions beyond those that are kept, with the objects that no version left, and no run in progress, refers to.
 *
 * @returns the versions that are gone
 */
export async function retain(versions: number, { store, pointers }: VersionPorts): Promise<string[]> {
  const history = await pointers.history();
  const kept = new Set<string>();
  for (const { version } of [...history].reverse()) if (kept.size < versions) kept.add(version);
  const gone: string[] = [];
  for await (const key of store.list('versions/')) {
    const version = /^versions\/([0-9a-f]{32})\.json$/.exec(key)?.[1];
    if (version !== undefined && !kept.has(version)) gone.push(version);
  }
  if (gone.length === 0) return [];
  const used = new Set<string>();
  for (const version of kept) for (const digest of objectsOf(await readManifest(version, store))) used.add(digest);
  for await (const key of store.list('staging/')) {
    for (const [digest] of (await store.get(key))?.toString('utf8').matchAll(/[0-9a-f]{64}/g) ?? []) used.add(digest);
  }
  const unused = new Set<string>();
  for (const version of gone) {
    for (const digest of objectsOf(await readManifest(version, store))) if (!used.has(digest)) unused.add(digest);
  }
  // The manifest goes first: a version whose objects are going must not look whole.
  for (const version of gone) await store.delete(manifestKey(version));
  for (const digest of unused) await store.delete(objectKey(digest));
  return gone.sort();
}

/** Digests of the objects that a version is made of. */
export function objectsOf({ inputs, profile, shards, handovers = [] }: Manifest): string[] {
  const references: ObjectReference[] = [inputs, profile];
  for (const { given, taken } of handovers) {
    references.push(taken, ...given.flatMap(({ part, origins, keys }) => [part, origins, keys]));
  }
  for (const shard of shards) references.push(shard.part, shard.origins, shard.quarantine, shard.keys, shard.profile);
  return references.map(({ sha256 }) => sha256);
}

/** Reads a manifest and checks that it is what its name says. */
export async function readManifest(version: string, store: ObjectStore): Promise<Manifest> {
  const bytes = await store.get(manifestKey(version));
  if (bytes === undefined) throw new Error(`there is no version ${version}`);
  if (versionOf(bytes) !== version) throw new Error(`the manifest of ${version} is not what was written`);
  return JSON.parse(bytes.toString('utf8')) as Manifest;
}
