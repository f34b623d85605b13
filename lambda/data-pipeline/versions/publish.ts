import type { ObjectStore, PointerStore } from '../storage';
import { type Manifest, manifestBytes, manifestKey, versionOf } from './manifest';

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
 * @param version an earlier version; the one before the current one where none is given
 * @throws an error that names the versions which can be gone back to
 */
export async function rollBack(version: string | undefined, { store, pointers }: VersionPorts): Promise<string> {
  const history = await pointers.history();
  const current = history.at(-1);
  if (!current) throw new Error('nothing is published yet');
  const earlier = [...new Set(history.map((pointer) => pointer.version))].filter((name) => name !== current.version);
  const target = version ?? previousOf(history, current.version);
  if (target === undefined || !earlier.includes(target) || (await store.get(manifestKey(target))) === undefined) {
    const known = earlier.length === 0 ? 'none' : earlier.join(', ');
    throw new Error(`cannot go back to ${target ?? 'an earlier version'}; earlier versions: ${known}`);
  }
  if (await pointers.flip({ sequence: current.sequence + 1, version: target, reason: 'rollback' })) return target;
  throw new Error('the pointer was moved by another at the same time; look at the versions and try again');
}

/** What was published before the version was first published: going back twice leads two versions back. */
function previousOf(history: readonly { readonly version: string }[], version: string): string | undefined {
  const first = history.findIndex((pointer) => pointer.version === version);
  return history[first - 1]?.version;
}

/** Reads a manifest and checks that it is what its name says. */
export async function readManifest(version: string, store: ObjectStore): Promise<Manifest> {
  const bytes = await store.get(manifestKey(version));
  if (bytes === undefined) throw new Error(`there is no version ${version}`);
  if (versionOf(bytes) !== version) throw new Error(`the manifest of ${version} is not what was written`);
  return JSON.parse(bytes.toString('utf8')) as Manifest;
}
