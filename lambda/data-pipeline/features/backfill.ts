import { entitiesOf, featuresOf } from '../../../lib/policy/features/columns';
import type { FeatureDefinition } from '../../../lib/policy/features/definition';
import { show } from '../../../lib/policy/fields';
import { daysOf } from './compact';
import type { HistoryRow } from './history';
import { offlineRows } from './offline-file';
import type { OfflineObjects } from './offline-objects';
import { onlineRowOf, type OnlineStore } from './online-store';

/** Entities that are written at one time. */
const PARALLEL_WRITES = 16;

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Which of the history is written to the online store. */
export interface BackfillRequest {
  readonly entity: string;
  /** Days of events, UTC, both included; without them, all. */
  readonly firstDay?: string;
  readonly lastDay?: string;
  /** The `next` of the answer before. */
  readonly after?: string;
}

/** What was written. */
export interface BackfillReport {
  readonly rows: number;
  /** Days that were gone through. */
  readonly days: number;
  /** Where to go on: the time was up. None where all is done. */
  readonly next?: string;
}

/** What a backfill needs from outside. */
export interface BackfillPorts {
  readonly objects: OfflineObjects;
  readonly store: Pick<OnlineStore, 'write'>;
  readonly mayGoOn: () => boolean;
}

/**
 * Fills the online store from the history: after it was lost, or moved, or where features are served that were only
 * trained on before. The newest value holds, as ever, so that it may run while records come in, and again.
 */
export async function backfillOnline(
  definition: FeatureDefinition,
  { entity, firstDay = '', lastDay = '9999-12-31', after = '' }: BackfillRequest,
  { objects, store, mayGoOn }: BackfillPorts,
): Promise<BackfillReport> {
  const features = featuresOf(definition, entity);
  if (!entitiesOf(definition).includes(entity)) {
    throw new Error(`entity must be one of the definition, got ${show(entity)}`);
  }
  for (const [field, day] of Object.entries({ firstDay, lastDay })) {
    if (day !== '' && !DAY.test(day)) throw new Error(`${field} must be a date such as "2026-03-01", got ${show(day)}`);
  }
  const names = features.map(({ name }) => name);
  const report = { rows: 0, days: 0 };
  let done = after;
  for await (const { day, files } of daysOf(entity, objects)) {
    if (day < firstDay || day > lastDay || day <= after) continue;
    if (!mayGoOn()) return { ...report, next: done };
    for (const { key } of files) {
      const body = await objects.get(key);
      if (!body) continue;
      const rows = await offlineRows(body, names);
      await writeAll(
        rows.map((row) => served(row, definition)),
        entity,
        features,
        store,
      );
      report.rows += rows.length;
    }
    report.days++;
    done = day;
  }
  return report;
}

/** What another version of the source computed is not served. */
function served(row: HistoryRow, { features }: FeatureDefinition): HistoryRow {
  const values = Object.entries(row.values).filter(([name]) =>
    features.some((feature) => feature.name === name && feature.sourceVersion === row.sourceVersion),
  );
  return { ...row, values: Object.fromEntries(values) };
}

async function writeAll(
  rows: readonly HistoryRow[],
  entity: string,
  features: ReturnType<typeof featuresOf>,
  store: Pick<OnlineStore, 'write'>,
): Promise<void> {
  const byKey = new Map<string, HistoryRow[]>();
  for (const row of rows) {
    const ofKey = byKey.get(row.key);
    if (ofKey) ofKey.push(row);
    else byKey.set(row.key, [row]);
  }
  const waiting = [...byKey];
  const work = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const row = onlineRowOf(next[1]);
      if (Object.keys(row).length > 0) await store.write(entity, next[0], row, features);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_WRITES, waiting.length) }, work));
}
