import type { ObjectStore } from '../storage';
import type { Profile } from './profile';
import type { Measurement } from './watch';

const HISTORY = 'monitors/history/';

/** The profile that distributions are compared with, and its version. */
const PINNED = 'monitors/pinned.json';

interface HistoryEntry {
  readonly version: string;
  readonly measurements: Measurement[];
}

/** Measurements of the versions published before, oldest first, as many as are looked back on, but for those of `version`. */
export async function readHistory(store: ObjectStore, most: number, version: string): Promise<Measurement[][]> {
  const keys: string[] = [];
  for await (const key of store.list(HISTORY)) keys.push(key);
  const recent = keys.sort().slice(-most);
  const contents = await Promise.all(recent.map((key) => store.get(key)));
  const entries = contents.flatMap((content) =>
    content ? [JSON.parse(content.toString('utf8')) as HistoryEntry] : [],
  );
  return entries.filter((entry) => entry.version !== version).map(({ measurements }) => measurements);
}

/** Keeps the measurements of a version that was published; the first version is pinned until another is. */
export async function writeHistory(
  store: ObjectStore,
  { sequence, version }: { readonly sequence: number; readonly version: string },
  measurements: readonly Measurement[],
  profile: Profile,
): Promise<void> {
  const key = `${HISTORY}${String(sequence).padStart(8, '0')}.json`;
  await store.put(key, JSON.stringify({ version, measurements }));
  if ((await store.get(PINNED)) === undefined) await pinProfile(store, version, profile);
}

/** Pins a version: later ones are compared with it. */
export async function pinProfile(store: ObjectStore, version: string, profile: Profile): Promise<void> {
  await store.put(PINNED, JSON.stringify({ version, profile }));
}

/** The profile of the pinned version; undefined before the first is published. */
export async function pinnedProfile(store: ObjectStore): Promise<Profile | undefined> {
  const pinned = await store.get(PINNED);
  return pinned && (JSON.parse(pinned.toString('utf8')) as { readonly profile: Profile }).profile;
}
