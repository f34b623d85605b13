import type { ResolvedRetrieval } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { ObjectStore } from '../storage';
import { type PublishedVersion, recordsOf } from '../versions/read-published';
import { indexedVector } from './indexed-vector';
import type { VectorIndex, VectorIndexes } from './vector-index';

/** What filling an index needs from outside. */
export interface FillPorts {
  readonly store: ObjectStore;
  readonly indexes: VectorIndexes;
}

/** How far an index has come. */
export interface Filling {
  /** The index, once all of the version is in it; until then the next call goes on. */
  readonly filled?: VectorIndex;
  /** Parts of the version that are in it. */
  readonly parts: number;
}

/** What is noted beside an index that is being filled. */
interface Note {
  /** Which index it is about. */
  readonly identity: string;
  readonly parts: number;
}

/**
 * Puts a version into the index of a name, part by part, from where the last call for that name came to: what is put twice
 * is there once. How far it came is noted after each part, so that a call that was cut off loses no more than one.
 *
 * @param mayGoOn whether there is time for another part, and for what comes after the last; one part is put in any case
 */
export async function fillIndex(
  name: string,
  published: PublishedVersion,
  { distance, fields }: Pick<ResolvedRetrieval, 'distance' | 'fields'>,
  { store, indexes }: FillPorts,
  mayGoOn: () => boolean = () => true,
): Promise<Filling> {
  const dimensions = published.manifest.embedding?.dimensions;
  if (dimensions === undefined) throw new Error(`the version ${published.version} has no vectors`);
  const index = await indexes.create(name, { dimensions, distance });
  const { identity } = index;
  let parts = identity === undefined ? 0 : await partsIn(name, identity, store);
  for await (const records of recordsOf(published, store, parts)) {
    await index.put(records.map((record) => indexedVector(record, fields)));
    parts++;
    if (identity !== undefined) await store.put(noteKey(name), JSON.stringify({ identity, parts } satisfies Note));
    if (!mayGoOn()) return { parts };
  }
  await index.seal();
  // Another run of the same version may have dropped it meanwhile, and made it anew: what was put before is not in that.
  if (identity !== undefined && (await indexes.open(name))?.identity !== identity) return { parts: 0 };
  return { filled: index, parts };
}

/** Forgets how far the index of a name came. */
export function forgetFilling(name: string, store: ObjectStore): Promise<void> {
  return store.delete(noteKey(name));
}

async function partsIn(name: string, identity: string, store: ObjectStore): Promise<number> {
  const note = await store.get(noteKey(name));
  if (!note) return 0;
  const known = JSON.parse(note.toString('utf8')) as Note;
  return known.identity === identity ? known.parts : 0;
}

function noteKey(name: string): string {
  return `indexes/${name}/filled.json`;
}
