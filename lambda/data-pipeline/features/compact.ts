import { entitiesOf, featuresOf } from '../../../lib/policy/features/columns';
import type { FeatureDefinition } from '../../../lib/policy/features/definition';
import { COMPACTION_PREFIX, OFFLINE_PREFIX } from '../../../lib/policy/features/prefixes';
import { sha256 } from '../digest';
import type { HistoryRow } from './history';
import { dayPrefix, offlineFiles, offlineRows } from './offline-file';
import type { OfflineObject, OfflineObjects } from './offline-objects';

/** When compaction is worth its while, and how long it waits. */
export interface CompactionSettings {
  /** Files of a day from which on they are put together. */
  readonly leastFiles: number;
  /** Bytes that are put together at one time, for they are in memory as rows: a file of half of them is left as it is. */
  readonly mostBytes: number;
  /** Age of files that are put together, in milliseconds: by then nobody sends their batch again. */
  readonly leastAgeMs: number;
  /** How long queries that have begun may go on reading what was replaced, in milliseconds. */
  readonly graceMs: number;
}

/** As Athena's queries end after 30 minutes, an hour is enough; queues send a batch again for hours at most. */
export const COMPACTION: CompactionSettings = {
  leastFiles: 8,
  mostBytes: 16 * 1024 * 1024,
  leastAgeMs: 24 * 3_600_000,
  graceMs: 3_600_000,
};

/** What compaction needs from outside. */
export interface CompactionPorts {
  readonly objects: OfflineObjects;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Whether there is time for another day. */
  readonly mayGoOn: () => boolean;
}

/** What a round of compaction did. */
export interface CompactionReport {
  /** Files that were put together, and into how many. */
  readonly replaced: number;
  readonly written: number;
  /** Replaced files whose time was over. */
  readonly removed: number;
  /** Whether it has been through all days. */
  readonly isDone: boolean;
}

/** What is about to be replaced, written before anything else is: whoever goes on after a cut finds it. */
interface Replacement {
  readonly target: string;
  readonly sources: readonly Pick<OfflineObject, 'key' | 'etag'>[];
  readonly atMs: number;
}

/**
 * Puts small files of the offline tables together, a day of an entity at a time, as a schedule calls it.
 *
 * First a note says which files one is to replace, then that one is written, and after the grace what it replaces is
 * removed: a query that has begun finds all of its files. Whatever is cut off, the next round goes on by the note. While
 * both are there, a row lies in two files, with one `ingest_id`: no training set changes by it, since of equal rows either
 * is the newest.
 */
export async function compactionRound(
  definition: FeatureDefinition,
  settings: CompactionSettings,
  ports: CompactionPorts,
): Promise<CompactionReport> {
  const report = { replaced: 0, written: 0, removed: 0 };
  for (const entity of entitiesOf(definition)) {
    for await (const { day, files } of daysOf(entity, ports.objects)) {
      if (!ports.mayGoOn()) return { ...report, isDone: false };
      const done = await compactDay(definition, entity, day, files, settings, ports);
      report.replaced += done.replaced;
      report.written += done.written;
      report.removed += done.removed;
    }
  }
  return { ...report, isDone: true };
}

/** The days of an entity that have files, oldest first. */
export async function* daysOf(
  entity: string,
  objects: OfflineObjects,
): AsyncGenerator<{ readonly day: string; readonly files: readonly OfflineObject[] }> {
  let day = '';
  let files: OfflineObject[] = [];
  for await (const object of objects.list(`${OFFLINE_PREFIX}${entity}/`)) {
    const found = /\/day=(\d{4}-\d{2}-\d{2})\/[^/]+\.parquet$/.exec(object.key)?.[1];
    if (found === undefined) continue;
    if (found !== day && files.length > 0) {
      yield { day, files };
      files = [];
    }
    day = found;
    files.push(object);
  }
  if (files.length > 0) yield { day, files };
}

async function compactDay(
  definition: FeatureDefinition,
  entity: string,
  day: string,
  files: readonly OfflineObject[],
  settings: CompactionSettings,
  { objects, now }: CompactionPorts,
): Promise<Omit<CompactionReport, 'isDone'>> {
  const note = noteOf(entity, day);
  const noted = await objects.get(note);
  if (noted) {
    const replacement = JSON.parse(noted.toString('utf8')) as Replacement;
    const isOver = now() - replacement.atMs >= settings.graceMs;
    const removed = isOver ? (await finish(replacement, files, note, objects)).length : 0;
    return { replaced: 0, written: 0, removed };
  }
  const sources = chosen(files, settings, now());
  if (sources.length < settings.leastFiles) return { replaced: 0, written: 0, removed: 0 };
  const name = sha256(sources.map(({ key, etag }) => `${key} ${etag}\n`).join('')).slice(0, 32);
  const replacement: Replacement = {
    target: `${dayPrefix(entity, day)}compact-${name}.parquet`,
    sources: sources.map(({ key, etag }) => ({ key, etag })),
    atMs: now(),
  };
  await objects.put(note, JSON.stringify(replacement));
  const rows = await rowsOf(definition, entity, sources, objects);
  const [file] = offlineFiles(definition, entity, rows, `compact-${name}`);
  await objects.put(file!.key, file!.body);
  return { replaced: sources.length, written: 1, removed: 0 };
}

/**
 * Ends a compaction of a day at once, where one is under way: without the grace, for who is about to change the files.
 *
 * @returns the files that are left
 */
export async function settleDay(
  entity: string,
  day: string,
  files: readonly OfflineObject[],
  objects: OfflineObjects,
): Promise<readonly OfflineObject[]> {
  const note = noteOf(entity, day);
  const noted = await objects.get(note);
  if (!noted) return files;
  const removed = await finish(JSON.parse(noted.toString('utf8')) as Replacement, files, note, objects);
  return files.filter(({ key }) => !removed.includes(key));
}

function noteOf(entity: string, day: string): string {
  return `${COMPACTION_PREFIX}${entity}/day=${day}.json`;
}

/**
 * Removes what was replaced; where what replaces it was never written, only the note.
 *
 * @returns keys of what was removed
 */
async function finish(
  { target, sources }: Replacement,
  files: readonly OfflineObject[],
  note: string,
  objects: OfflineObjects,
): Promise<string[]> {
  const removed: string[] = [];
  if (files.some(({ key }) => key === target)) {
    for (const { key, etag } of sources) {
      // One that was written anew since holds what its batch brought the second time.
      if (!files.some((file) => file.key === key && file.etag === etag)) continue;
      await objects.remove(key);
      removed.push(key);
    }
  }
  await objects.remove(note);
  return removed;
}

/** The smallest files of those that are old enough, as many as fit. */
function chosen(
  files: readonly OfflineObject[],
  { mostBytes, leastAgeMs }: CompactionSettings,
  nowMs: number,
): OfflineObject[] {
  const small = files
    .filter(({ bytes, modifiedMs }) => bytes < mostBytes / 2 && nowMs - modifiedMs >= leastAgeMs)
    .sort((one, other) => one.bytes - other.bytes || (one.key < other.key ? -1 : 1));
  let bytes = 0;
  const fitting = small.filter((file) => (bytes += file.bytes) <= mostBytes);
  return fitting.sort((one, other) => (one.key < other.key ? -1 : 1));
}

/** Rows of files, each once, with those of one key together: queries for few keys then read less. */
async function rowsOf(
  definition: FeatureDefinition,
  entity: string,
  files: readonly OfflineObject[],
  objects: OfflineObjects,
): Promise<HistoryRow[]> {
  const names = featuresOf(definition, entity).map(({ name }) => name);
  const rows = new Map<string, HistoryRow>();
  for (const { key } of files) {
    const body = await objects.get(key);
    if (!body) throw new Error(`the file ${key} went while it was put together with others`);
    for (const row of await offlineRows(body, names)) rows.set(row.ingestId, row);
  }
  return [...rows.values()].sort(
    (one, other) =>
      compared(one.key, other.key) || one.eventMs - other.eventMs || compared(one.ingestId, other.ingestId),
  );
}

function compared(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
