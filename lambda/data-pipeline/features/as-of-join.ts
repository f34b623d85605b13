import type { Feature } from '../../../lib/policy/features/definition';
import { LateArrivals } from '../../../lib/policy/features/training-set';
import { type HistoryRow, isNewer } from './history';
import { type Dated, type Reading, readingOf } from './reading';

/** What features are wanted for: an entity at a time. */
export interface Label {
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** Which of the history counts. */
export interface JoinOptions {
  /** Whether values that had not come in by a label's time are left out; they are unless this says otherwise. */
  readonly lateArrivals?: LateArrivals;
  /** Leaves out what came in after this time. */
  readonly readAtMs?: number;
}

/**
 * Joins features to labels, each as it was at its label's time: the newest value by the time of its event that is not
 * after the label, had come in by then, and is not older than its time to live. Of values of one time the one that came
 * in last wins.
 *
 * One walk along time, in which each entity's newest values are kept: O((n + m) log(n + m)) for n rows and m labels.
 *
 * @param features of one entity
 * @param history of that entity, in any order
 * @returns a reading of each feature for each label, in the order of the labels
 */
export function joinAsOf(
  features: readonly Feature[],
  history: readonly HistoryRow[],
  labels: readonly Label[],
  options: JoinOptions = {},
): Record<string, Reading>[] {
  const readAt = options.readAtMs ?? Infinity;
  // Nothing is visible before its event, even where a clock was wrong and it came in before.
  const visibleMs = ({ eventMs, ingestedMs }: HistoryRow) =>
    options.lateArrivals === LateArrivals.INCLUDE ? eventMs : Math.max(eventMs, ingestedMs);
  const rows = history
    .filter(({ ingestedMs }) => ingestedMs <= readAt)
    .map((row) => ({ row, visibleMs: visibleMs(row) }))
    .sort((one, other) => one.visibleMs - other.visibleMs);
  const order = labels.map((_, i) => i).sort((one, other) => labels[one]!.atMs - labels[other]!.atMs);

  const newest = new Map<string, Map<string, Dated>>();
  const joined = new Array<Record<string, Reading>>(labels.length);
  let next = 0;
  for (const i of order) {
    const { key, atMs } = labels[i]!;
    while (next < rows.length && rows[next]!.visibleMs <= atMs) keepNewest(newest, features, rows[next++]!.row);
    const ofEntity = newest.get(key);
    joined[i] = Object.fromEntries(
      features.map((feature) => [feature.name, readingOf(feature, ofEntity?.get(feature.name), atMs)]),
    );
  }
  return joined;
}

function keepNewest(newest: Map<string, Map<string, Dated>>, features: readonly Feature[], row: HistoryRow): void {
  let ofEntity = newest.get(row.key);
  if (!ofEntity) {
    ofEntity = new Map<string, Dated>();
    newest.set(row.key, ofEntity);
  }
  for (const { name, sourceVersion } of features) {
    const value = Object.hasOwn(row.values, name) ? row.values[name] : undefined;
    if (value == null || row.sourceVersion !== sourceVersion) continue;
    const known = ofEntity.get(name);
    if (!known || isNewer(row, known)) ofEntity.set(name, { value, eventMs: row.eventMs, ingestId: row.ingestId });
  }
}
