import { isRecord, show } from '../../lib/policy/fields';
import { backfillOnline, type BackfillRequest } from '../data-pipeline/features/backfill';
import { COMPACTION, compactionRound } from '../data-pipeline/features/compact';
import { eraseEntity, type ErasureRequest } from '../data-pipeline/features/erase';
import { isKey } from '../data-pipeline/features/record';
import { featureDefinition, featureMetricsNames, offlineObjects, onlineStore } from '../feature-store/environment';
import { lineWriter } from '../observability/line-writer';

/** A day of files is read, put together and written in this time. */
const LAST_MINUTES_MS = 120_000;

const environment = process.env;
const definition = featureDefinition(environment);
const { store: name } = featureMetricsNames(environment);
const objects = offlineObjects(environment);
const writeLine = lineWriter(process.stdout);
const store = onlineStore(environment, definition.name, ({ message }) => {
  writeLine(JSON.stringify({ level: 'warn', message: 'online store', 'error.message': message }));
});

/**
 * Entry point of the schedule and of operators, by `action`:
 *
 * - `compact`: puts small files of the history together;
 * - `erase` of `entity` and `key`: forgets an entity everywhere;
 * - `backfill` of `entity`, from `firstDay` to `lastDay`: fills the online store from the history.
 *
 * An answer with `next` says that the time was up: the same request with `after` goes on.
 *
 * @throws for what is none of these
 */
export async function handler(
  event: unknown,
  context: { readonly getRemainingTimeInMillis: () => number },
): Promise<object> {
  const { action, ...request } = isRecord(event) ? event : {};
  const mayGoOn = () => context.getRemainingTimeInMillis() > LAST_MINUTES_MS;
  const report = await act(action, request, mayGoOn);
  // Never the key: who was erased is nobody's to read.
  writeLine(JSON.stringify({ level: 'info', message: 'features maintained', FeatureStore: name, action, ...report }));
  return report;
}

async function act(
  action: unknown,
  request: Readonly<Record<string, unknown>>,
  mayGoOn: () => boolean,
): Promise<object> {
  const ports = { objects, store, mayGoOn, now: Date.now };
  switch (action) {
    case 'compact':
      return compactionRound(definition, COMPACTION, ports);
    case 'erase':
      if (!isKey(request.key)) throw new Error(`key must be text of 1 to 512 characters, got ${show(request.key)}`);
      return eraseEntity(definition, request as unknown as ErasureRequest, ports);
    case 'backfill':
      return backfillOnline(definition, request as unknown as BackfillRequest, ports);
    default:
      throw new Error(`action must be compact, erase or backfill, got ${show(action)}`);
  }
}
