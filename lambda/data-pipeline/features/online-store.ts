import type { Feature } from '../../../lib/policy/features/definition';
import { type HistoryRow, isNewer } from './history';
import type { Dated } from './reading';

/** The newest value of a feature, as it is kept for serving. */
export type OnlineValue = Dated & Pick<HistoryRow, 'sourceVersion'>;

/** What is kept of an entity: its newest values, by feature. */
export type OnlineRow = Readonly<Record<string, OnlineValue>>;

/** The newest values of entities, for serving. */
export interface OnlineStore {
  /**
   * What is kept of entities.
   *
   * @param keys each once
   * @param features names of those that are wanted; others may be among the answer
   * @returns a row for each key, in their order; empty for one that is not known
   * @throws where the store cannot be read: that a value is missing is known only to who has looked
   */
  read(entity: string, keys: readonly string[], features: readonly string[]): Promise<OnlineRow[]>;
  /**
   * Keeps values of an entity as far as they are newer than those that are kept ({@link replaces}), whatever else writes
   * at the same time. To write the same twice changes nothing.
   */
  write(entity: string, key: string, row: OnlineRow, features: readonly Feature[]): Promise<void>;
  /** Forgets all that is kept of an entity, or sees that nothing is. */
  remove(entity: string, key: string): Promise<void>;
}

/** Whether a value takes the place of one that is kept. One of another source, which is not served any more, always goes. */
export function replaces(incoming: OnlineValue, kept: OnlineValue | undefined): boolean {
  return kept?.sourceVersion !== incoming.sourceVersion || isNewer(incoming, kept);
}

/** What is kept once values have come in; undefined where that changes nothing. */
export function mergedRow(kept: OnlineRow, incoming: OnlineRow): OnlineRow | undefined {
  const newer = Object.entries(incoming).filter(([name, value]) =>
    replaces(value, Object.hasOwn(kept, name) ? kept[name] : undefined),
  );
  return newer.length === 0 ? undefined : { ...kept, ...Object.fromEntries(newer) };
}

/** The newest of what rows of one entity tell, by the rule of the store: of many records of one entity one is written. */
export function onlineRowOf(rows: readonly HistoryRow[]): OnlineRow {
  let newest: OnlineRow = {};
  for (const { values, eventMs, ingestId, sourceVersion } of rows) {
    const told = Object.entries(values).flatMap(([name, value]): [string, OnlineValue][] =>
      value == null ? [] : [[name, { value, eventMs, ingestId, sourceVersion }]],
    );
    newest = mergedRow(newest, Object.fromEntries(told)) ?? newest;
  }
  return newest;
}

/** How long a stale value is kept, so that it is told apart from one that never was. */
const STALE_KEPT_MS = 7 * 86_400_000;

/** Until when a row is kept, milliseconds since 1970: a week after the last of its values is stale. */
export function keptUntilMs(row: OnlineRow, features: readonly Feature[]): number {
  const ends = Object.entries(row).map(([name, { eventMs }]) => {
    const ttlSeconds = features.find((feature) => feature.name === name)?.ttlSeconds ?? 0;
    return eventMs + ttlSeconds * 1000;
  });
  return Math.max(0, ...ends) + STALE_KEPT_MS;
}
