import type { DataRecord } from '../reading/source-record';
import { linesOfObject } from '../running/line-object';
import type { Origin } from '../running/shard-output';
import type { ObjectStore } from '../storage';
import { type Manifest, manifestKey } from './manifest';
import { readManifest, type VersionPorts } from './publish';

/** A version that is, or was, published. */
export interface PublishedVersion {
  readonly version: string;
  readonly manifest: Manifest;
}

/** The version that readers see; undefined before the first. There is no way to read what is not published. */
export async function currentVersion({ store, pointers }: VersionPorts): Promise<PublishedVersion | undefined> {
  const pointer = await pointers.current();
  return pointer && { version: pointer.version, manifest: await readManifest(pointer.version, store) };
}

/** A version that the pointer has shown. */
export async function publishedVersion(version: string, { store, pointers }: VersionPorts): Promise<PublishedVersion> {
  const history = await pointers.history();
  if (!history.some((pointer) => pointer.version === version)) throw new Error(`${version} was never published`);
  return { version, manifest: await readManifest(version, store) };
}

/**
 * The records of a version, in order, in the memory of one part. Each part is checked against its hash.
 *
 * @param from how many parts are passed over
 */
export async function* recordsOf(
  { manifest }: PublishedVersion,
  store: ObjectStore,
  from = 0,
): AsyncGenerator<DataRecord[]> {
  for (const { part } of manifest.shards.slice(from)) {
    const lines = await linesOfObject(store, part);
    yield lines.map((line) => JSON.parse(line) as DataRecord);
  }
}

/** Where a record of a version comes from. */
export interface Lineage {
  readonly record: DataRecord;
  readonly file: string;
  readonly offset: number;
}

/** Finds where records of a version come from. */
export async function* trace(
  { manifest }: PublishedVersion,
  isWanted: (record: DataRecord) => boolean,
  store: ObjectStore,
): AsyncGenerator<Lineage> {
  for (const { part, origins } of manifest.shards) {
    const lines = await linesOfObject(store, part);
    let places: string[] | undefined;
    for (const [i, line] of lines.entries()) {
      const record = JSON.parse(line) as DataRecord;
      if (!isWanted(record)) continue;
      places ??= await linesOfObject(store, origins);
      const [file, offset] = JSON.parse(places[i]!) as Origin;
      yield { record, file, offset };
    }
  }
}

/** A version, the code and definition that made it, and what it was made from, as far back as it is kept. */
export interface Ancestor {
  readonly version: string;
  readonly depth: number;
  /** Whether retention has deleted the version. */
  readonly isGone: boolean;
  /** Undefined where the version is gone, and where the manifest is not what was written. */
  readonly manifest?: Manifest;
}

/** The version and its ancestors, each once, nearest first. */
export async function ancestorsOf(version: string, store: ObjectStore): Promise<Ancestor[]> {
  const ancestors: Ancestor[] = [];
  const queue = [{ version, depth: 0 }];
  for (const next of queue) {
    if (ancestors.some((known) => known.version === next.version)) continue;
    const isGone = (await store.get(manifestKey(next.version))) === undefined;
    const manifest = isGone ? undefined : await readManifest(next.version, store).catch(() => undefined);
    ancestors.push({ ...next, isGone, ...(manifest && { manifest }) });
    for (const parent of manifest?.parents ?? []) queue.push({ version: parent, depth: next.depth + 1 });
  }
  return ancestors;
}
