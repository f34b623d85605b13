import type { Profile } from '../../lambda/data-pipeline/monitors/profile';
import type { Measurement } from '../../lambda/data-pipeline/monitors/watch';
import type { ObjectStore } from '../../lambda/data-pipeline/storage';

/** The profile that distributions are compared with, and its version. */
const PINNED = 'monitors/pinned.json';

interface HistoryEntry {
  readonly version: string;
  readonly measurements: Measurement[];
}

/** Measurements of the versions published before, oldest first, as many as are looked back on, but for those of `version`. */
export async function readHistory(store: ObjectStore, most: number, version: string): Promise<Measurement[][]> {
  const keys: string[] = [];
  for await (const key of store.list('monitors/history/')) keys.push(key);
  const contents = await Promise.all(
    keys
      .sort()
      .slice(-most)
      .map((key) => store.get(key)),
  );
  const entries = contents.map((content) => JSON.parse(content!.toString('utf8')) as HistoryEntry);
  return entries.filter((entry) => entry.version !== version).map(({ measurements }) => measurements);
}

/** Keeps the measurements of a version that was published; the first version is pinned until another is. */
export async function writeHistory(
  store: ObjectStore,
  sequence: number,
  version: string,
  measurements: readonly Measurement[],
  profile: Profile,
): Promise<void> {
  const key = `monitors/history/${String(sequence).padStart(8, '0')}.json`;
  await store.put(key, JSON.stringify({ version, measurements }));
  if ((await store.get(PINNED)) === undefined) await pin(store, version, profile);
}

/** Pins a version: later ones are compared with it. */
export async function pin(store: ObjectStore, version: string, profile: Profile): Promise<void> {
  await store.put(PINNED, JSON.stringify({ version, profile }));
}

/** The profile of the pinned version; undefined before the first is published. */
export async function pinnedProfile(store: ObjectStore): Promise<Profile | undefined> {
  const pinned = await store.get(PINNED);
  return pinned && (JSON.parse(pinned.toString('utf8')) as { profile: Profile }).profile;
}
