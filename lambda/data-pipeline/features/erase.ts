import { entitiesOf, featuresOf } from '../../../lib/policy/features/columns';
import type { FeatureDefinition } from '../../../lib/policy/features/definition';
import {
  ERASURES_PREFIX,
  OFFLINE_PREFIX,
  QUARANTINE_PREFIX,
  RESULTS_PREFIX,
} from '../../../lib/policy/features/prefixes';
import { isRecord, show } from '../../../lib/policy/fields';
import { sha256 } from '../digest';
import { daysOf, settleDay } from './compact';
import { offlineFiles, offlineRows } from './offline-file';
import type { OfflineObjects } from './offline-objects';
import type { OnlineStore } from './online-store';

/** What erasing needs from outside. */
export interface ErasurePorts {
  readonly objects: OfflineObjects;
  readonly store: Pick<OnlineStore, 'remove'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Whether there is time for more. */
  readonly mayGoOn: () => boolean;
}

/** Whom to erase, and where to go on. */
export interface ErasureRequest {
  readonly entity: string;
  readonly key: string;
  /** The `next` of the answer before. */
  readonly after?: string;
}

/** What was erased. */
export interface ErasureReport {
  /** Rows of the offline table, and in how many files they were. */
  readonly rows: number;
  readonly files: number;
  /** Refused records. */
  readonly quarantined: number;
  /** Results of queries that held the key. */
  readonly results: number;
  /** Versions of objects that could have been brought back. */
  readonly versions: number;
  /** Where to go on: the time was up. None where all is done. */
  readonly next?: string;
  /** Where it is noted. */
  readonly note?: string;
}

/**
 * Forgets an entity: what is served of it, its history, what was refused of it, results of queries that hold its key, and
 * every version of those that the bucket keeps. What was erased is noted by the hash of the key, and the note is no proof
 * that a source sends nothing more: stop it first.
 *
 * A request whose time is up is answered with where to go on, and the note comes with the last answer. To erase the same
 * again finds nothing, and is noted, too.
 */
export async function eraseEntity(
  definition: FeatureDefinition,
  { entity, key, after = '' }: ErasureRequest,
  ports: ErasurePorts,
): Promise<ErasureReport> {
  const { objects, store, now } = ports;
  if (!entitiesOf(definition).includes(entity)) {
    throw new Error(`entity must be one of the definition, got ${show(entity)}`);
  }
  // Serving stops first, and what a batch that was under way has brought since goes last.
  await store.remove(entity, key);
  const report = { rows: 0, files: 0, quarantined: 0, results: 0, versions: 0 };
  const names = featuresOf(definition, entity).map(({ name }) => name);
  for await (const { day, files } of daysOf(entity, objects)) {
    if (day <= after) continue;
    if (!ports.mayGoOn()) return { ...report, next: lastDay(day) };
    for (const file of await settleDay(entity, day, files, objects)) {
      const body = await objects.get(file.key);
      if (!body) continue;
      const rows = await offlineRows(body, names);
      const kept = rows.filter((row) => row.key !== key);
      if (kept.length === rows.length) continue;
      const name = file.key.slice(file.key.lastIndexOf('/') + 1, -'.parquet'.length);
      if (kept.length === 0) await objects.remove(file.key);
      else for (const { body: rest } of offlineFiles(definition, entity, kept, name)) await objects.put(file.key, rest);
      report.rows += rows.length - kept.length;
      report.files++;
    }
  }
  report.quarantined = await eraseQuarantined(entity, key, objects);
  report.results = await removeResults(key, objects);
  for (const prefix of [`${OFFLINE_PREFIX}${entity}/`, QUARANTINE_PREFIX, RESULTS_PREFIX]) {
    report.versions += await objects.purge(prefix);
  }
  await store.remove(entity, key);
  const at = new Date(now()).toISOString();
  const keySha256 = sha256(`${entity}#${key}`);
  const note = `${ERASURES_PREFIX}${at}-${keySha256.slice(0, 16)}.json`;
  await objects.put(note, JSON.stringify({ at, entity, keySha256, ...report }));
  return { ...report, note };
}

/** Days are gone through in their order: those up to this one are done. */
function lastDay(next: string): string {
  return new Date(Date.parse(`${next}T00:00:00Z`) - 1).toISOString().slice(0, 10);
}

/** A refused record may be anything: it goes where it is the entity's, or holds the key as a text. */
async function eraseQuarantined(entity: string, key: string, objects: OfflineObjects): Promise<number> {
  const text = JSON.stringify(key);
  // What was no record lies there as a text, in which quotation marks are escaped once more.
  const escaped = JSON.stringify(text).slice(1, -1);
  let erased = 0;
  for await (const { key: object } of objects.list(QUARANTINE_PREFIX)) {
    const lines = ((await objects.get(object))?.toString('utf8') ?? '').split('\n').filter(Boolean);
    const kept = lines.filter((line) => {
      if (!line.includes(text) && !line.includes(escaped)) return true;
      const { record } = JSON.parse(line) as { readonly record?: unknown };
      return isRecord(record) && typeof record.entity === 'string' && record.entity !== entity;
    });
    if (kept.length === lines.length) continue;
    if (kept.length === 0) await objects.remove(object);
    else await objects.put(object, `${kept.join('\n')}\n`);
    erased += lines.length - kept.length;
  }
  return erased;
}

/** Athena writes results as CSV, in which each value stands between quotation marks. */
async function removeResults(key: string, objects: OfflineObjects): Promise<number> {
  const wanted = Buffer.from(`"${key.replaceAll('"', '""')}"`);
  let removed = 0;
  for await (const { key: object } of objects.list(RESULTS_PREFIX)) {
    if (!(await holds(objects.stream(object), wanted))) continue;
    await objects.remove(object);
    removed++;
  }
  return removed;
}

async function holds(pieces: AsyncIterable<Uint8Array>, wanted: Buffer): Promise<boolean> {
  let end = Buffer.alloc(0);
  for await (const piece of pieces) {
    const text = Buffer.concat([end, piece]);
    if (text.includes(wanted)) return true;
    end = text.subarray(Math.max(0, text.length - wanted.length + 1));
  }
  return false;
}
