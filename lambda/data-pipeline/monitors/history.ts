import type { ObjectStore, Pointer } from '../storage';
import type { Profile } from './profile';
import type { Measurement } from './watch';

const HISTORY = 'monitors/history/';

/** The profile that distributions are compared with, and its version. */
const PINNED = 'monitors/pinned.json';

/** Characters of a time that say its day. */
const DAY = '2026-11-24'.length;

interface HistoryEntry {
  readonly version: string;
  /** Versions whose place in the history this one has taken. */
  readonly replaced?: readonly string[];
  /** The time that the run was for, ISO 8601. */
  readonly asOf?: string;
  readonly measurements: Measurement[];
}

/** What decides on a version's place in the history. */
export interface VersionPlace {
  readonly version: string;
  readonly parents: readonly string[];
  readonly asOf?: string;
  /** Where the pointer has been so far. */
  readonly pointers: readonly Pointer[];
}

/** What a version is judged by. */
export interface PastMeasurements {
  /** Of the versions before it, oldest first. */
  readonly before: readonly Measurement[][];
  /** Key of the entry whose place the version takes; undefined where it comes after all of them. */
  readonly place?: string;
}

/**
 * Measurements of the versions published before, as many as are looked back on.
 *
 * A season is counted in versions, so that one more for the same day would shift all after it. A version takes the place of
 * the one that it was redriven from, of one that was rolled back, unless both say that they are for different days, and of one
 * that is for the same time.
 */
export async function readHistory(store: ObjectStore, most: number, version: VersionPlace): Promise<PastMeasurements> {
  const recent = await recentEntries(store, most);
  const at = placeOf(recent, version);
  const before = (at < 0 ? recent : recent.slice(0, at)).map(({ entry }) => entry.measurements);
  return { before, ...(at >= 0 && { place: recent[at]!.key }) };
}

/** How many of the versions that are looked back on there are. */
export async function lengthOfHistory(store: ObjectStore, most: number): Promise<number> {
  return (await recentEntries(store, most)).length;
}

async function recentEntries(store: ObjectStore, most: number): Promise<{ key: string; entry: HistoryEntry }[]> {
  const keys: string[] = [];
  for await (const key of store.list(HISTORY)) keys.push(key);
  const recent = keys.sort().slice(-most);
  const contents = await Promise.all(recent.map((key) => store.get(key)));
  return contents.flatMap((content, i) =>
    content ? [{ key: recent[i]!, entry: JSON.parse(content.toString('utf8')) as HistoryEntry }] : [],
  );
}

function placeOf(
  recent: readonly { readonly entry: HistoryEntry }[],
  { version, parents, asOf, pointers }: VersionPlace,
): number {
  const last = (isIt: (entry: HistoryEntry) => boolean) => recent.findLastIndex(({ entry }) => isIt(entry));
  const stoodFor = (names: readonly string[]) => (entry: HistoryEntry) =>
    [entry.version, ...(entry.replaced ?? [])].some((name) => names.includes(name));
  const gone = rolledBack(pointers);
  const isOtherDay = (entry: HistoryEntry) =>
    asOf !== undefined && entry.asOf !== undefined && asOf.slice(0, DAY) !== entry.asOf.slice(0, DAY);
  const candidates = [
    last(({ version: name }) => name === version),
    last(stoodFor(parents)),
    gone === undefined ? -1 : last((entry) => stoodFor([gone])(entry) && !isOtherDay(entry)),
    asOf === undefined ? -1 : last((entry) => entry.asOf === asOf),
  ];
  return candidates.find((index) => index >= 0) ?? -1;
}

/** The version that was published last, where readers have been led back from it since. */
function rolledBack(pointers: readonly Pointer[]): string | undefined {
  const current = pointers.at(-1);
  const published = pointers.findLast(({ reason }) => reason === 'publish');
  return published?.version === current?.version ? undefined : published?.version;
}

/** What is kept of a version that was published. */
export interface PublishedMeasurements {
  readonly version: string;
  /** Of the pointer that shows it. */
  readonly sequence: number;
  readonly asOf?: string;
  /** Key of the entry whose place it takes, of {@link readHistory}. */
  readonly place?: string;
  readonly measurements: readonly Measurement[];
}

/** Keeps the measurements of a version that was published; the first version is pinned until another is. */
export async function writeHistory(
  store: ObjectStore,
  { version, sequence, asOf, place, measurements }: PublishedMeasurements,
  profile: Profile,
): Promise<void> {
  const key = place ?? `${HISTORY}${String(sequence).padStart(8, '0')}.json`;
  const content = await store.get(key);
  const before = content && (JSON.parse(content.toString('utf8')) as HistoryEntry);
  const replaced = before ? [...(before.replaced ?? []), before.version].filter((name) => name !== version) : [];
  // A redrive may be asked for on a later day: the place stays that of the day which it was taken for.
  const time = before?.asOf ?? asOf;
  const entry = {
    version,
    ...(replaced.length > 0 && { replaced }),
    ...(time !== undefined && { asOf: time }),
    measurements,
  };
  await store.put(key, JSON.stringify(entry));
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
