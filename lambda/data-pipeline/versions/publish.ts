import type { ObjectStore, Pointer, PointerStore } from '../storage';
import { type Manifest, manifestBytes, manifestKey, versionOf } from './manifest';

/** Where versions are kept. */
export interface VersionPorts {
  readonly store: ObjectStore;
  readonly pointers: PointerStore;
}

/** What publishing came to. */
export type Publication =
  | { readonly outcome: 'published' | 'unchanged'; readonly version: string }
  /** Somebody has gone back from this version, and the run was not asked to publish it again. */
  | { readonly outcome: 'rolledBack'; readonly version: string }
  /** Another run or a roll-back has moved the pointer since this run began. */
  | { readonly outcome: 'overtaken'; readonly version: string; readonly by: string };

/** Whether the version is the one that readers see. */
export function isShown({ outcome }: Publication): boolean {
  return outcome === 'published' || outcome === 'unchanged';
}

/**
 * Makes a version the one that readers see. Its manifest is written first, so that readers who follow the pointer find all of
 * it; the pointer is flipped only from where it stood when the run began. A version that was rolled back from is not
 * published: the next run on the same input would undo the roll-back.
 *
 * @param sequence sequence number of the pointer when the run began, 0 for none
 * @param again whether a version that was rolled back from is published all the same
 */
export async function publish(
  manifest: Manifest,
  sequence: number,
  { store, pointers }: VersionPorts,
  again = false,
): Promise<Publication> {
  const bytes = manifestBytes(manifest);
  const version = versionOf(bytes);
  await store.put(manifestKey(version), bytes);
  const history = await pointers.history();
  const current = history.at(-1);
  if (current?.version === version) return { outcome: 'unchanged', version };
  if (!again && isRolledBack(version, history)) return { outcome: 'rolledBack', version };
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

/** Whether readers were led from the version to an earlier one when they saw it last. */
function isRolledBack(version: string, history: readonly Pointer[]): boolean {
  const last = history.findLastIndex((pointer) => pointer.version === version);
  const next = last < 0 ? undefined : history[last + 1];
  // A roll-back can lead forward too, to a version that was rolled back from before.
  return next?.reason === 'rollback' && firstOf(history, next.version) < firstOf(history, version);
}

function firstOf(history: readonly Pointer[], version: string): number {
  return history.findIndex((pointer) => pointer.version === version);
}

/** Reads a manifest and checks that it is what its name says. */
export async function readManifest(version: string, store: ObjectStore): Promise<Manifest> {
  const bytes = await store.get(manifestKey(version));
  if (bytes === undefined) throw new Error(`there is no version ${version}`);
  if (versionOf(bytes) !== version) throw new Error(`the manifest of ${version} is not what was written`);
  return JSON.parse(bytes.toString('utf8')) as Manifest;
}
