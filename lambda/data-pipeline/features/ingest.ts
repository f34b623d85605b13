import { featuresOf } from '../../../lib/policy/features/columns';
import type { FeatureDefinition } from '../../../lib/policy/features/definition';
import { QUARANTINE_PREFIX } from '../../../lib/policy/features/prefixes';
import { dayOf } from '../../../lib/policy/features/training-sql';
import type { HistoryRow } from './history';
import { type OfflineFile, offlineFiles } from './offline-file';
import { type OnlineStore, onlineRowOf } from './online-store';
import { type RecordFault, takeRecord } from './record';

/** Entities that are written to the online store at one time. */
const PARALLEL_WRITES = 16;

/** A record that was not taken. */
export interface QuarantinedRecord extends RecordFault {
  /** Its place in the batch, from 0. */
  readonly position: number;
}

/** What became of a batch. */
export interface IngestReport {
  readonly taken: number;
  /** The records that were not, each with the rule that it breaks. They are kept under `quarantine/`. */
  readonly quarantined: readonly QuarantinedRecord[];
  /** Milliseconds from the oldest event to its arrival: how late the source is. None where nothing was taken. */
  readonly oldestEventAgeMs?: number;
}

/** What taking records in needs from outside. */
export interface IngestPorts {
  readonly putFile: (file: OfflineFile) => Promise<void>;
  readonly store: Pick<OnlineStore, 'write'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Takes a batch of records in: first to the offline table, then to the online store, so that nothing was ever served
 * that training cannot see. A batch that failed half-way is sent again whole; that changes nothing but arrival times.
 *
 * @param batch id of the batch: the same one again writes the same objects
 */
export async function ingest(
  definition: FeatureDefinition,
  records: readonly unknown[],
  batch: string,
  { putFile, store, now }: IngestPorts,
): Promise<IngestReport> {
  const nowMs = now();
  const taken = new Map<string, HistoryRow[]>();
  const quarantined: (QuarantinedRecord & { readonly record: unknown })[] = [];
  records.forEach((record, position) => {
    const result = takeRecord(definition, record, { batch, position, nowMs });
    if ('reason' in result) {
      quarantined.push({ position, rule: result.rule, reason: result.reason, record });
      return;
    }
    const rows = taken.get(result.entity);
    if (rows) rows.push(result.row);
    else taken.set(result.entity, [result.row]);
  });

  const files = [...taken].flatMap(([entity, rows]) => offlineFiles(definition, entity, rows, batch));
  if (quarantined.length > 0) files.push(quarantineFile(quarantined, batch, nowMs));
  for (const file of files) await putFile(file);
  for (const [entity, rows] of taken) await writeOnline(definition, entity, rows, store);

  const events = [...taken.values()].flat().map(({ eventMs }) => eventMs);
  const oldest = events.reduce((least, eventMs) => Math.min(least, eventMs), Infinity);
  return {
    taken: events.length,
    quarantined: quarantined.map(({ record: _, ...fault }) => fault),
    ...(events.length > 0 && { oldestEventAgeMs: nowMs - oldest }),
  };
}

/** A line for each record that was not taken, as it came, with the rule that it breaks. */
function quarantineFile(quarantined: readonly object[], batch: string, nowMs: number): OfflineFile {
  const lines = quarantined.map((each) => `${JSON.stringify({ ...each, batch })}\n`).join('');
  return { key: `${QUARANTINE_PREFIX}day=${dayOf(nowMs)}/${batch}.jsonl`, body: Buffer.from(lines) };
}

async function writeOnline(
  definition: FeatureDefinition,
  entity: string,
  rows: readonly HistoryRow[],
  store: Pick<OnlineStore, 'write'>,
): Promise<void> {
  const features = featuresOf(definition, entity);
  const byKey = new Map<string, HistoryRow[]>();
  for (const row of rows) {
    const ofKey = byKey.get(row.key);
    if (ofKey) ofKey.push(row);
    else byKey.set(row.key, [row]);
  }
  const waiting = [...byKey];
  const work = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      await store.write(entity, next[0], onlineRowOf(next[1]), features);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_WRITES, waiting.length) }, work));
}
