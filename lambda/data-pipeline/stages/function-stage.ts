import { isNestedDeeperThan } from '../../gateway/nesting';
import { type DataRecord, MOST_LEVELS } from '../reading/source-record';
import { reasonOf, type Worker, type WorkResult } from './work';

/** The function itself has failed, on one of the records that it was given or more: it says what it threw. */
export class FunctionError extends Error {}

/**
 * Calls the user's function with records; gives what it answers.
 *
 * @throws a {@link FunctionError} where the function fails; anything else where it could not be called, which is no fault of
 *   the records and ends the run
 */
export type CallFunction = (records: readonly DataRecord[]) => Promise<unknown>;

/**
 * The user's function as a worker. A function that fails says nothing of which record made it fail, so the call is repeated
 * in halves: the record that fails by itself is at fault.
 */
export function functionWorker(batchSize: number, call: CallFunction): Worker {
  const run = async (records: readonly DataRecord[]): Promise<WorkResult[]> => {
    try {
      return resultsIn(await call(records), records.length);
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      if (records.length === 1) return [{ fault: reasonOf(error) }];
      const half = Math.ceil(records.length / 2);
      return [...(await run(records.slice(0, half))), ...(await run(records.slice(half)))];
    }
  };
  return {
    fansOut: true,
    run: async (records) => {
      const results: WorkResult[] = [];
      for (let i = 0; i < records.length; i += batchSize) results.push(...(await run(records.slice(i, i + batchSize))));
      return results;
    },
  };
}

/** The answer `{ results: [{ records: [...] } | { fault: "…" }] }`, one result for each record. */
function resultsIn(answer: unknown, count: number): WorkResult[] {
  const results = (answer as { results?: unknown } | null)?.results;
  if (!Array.isArray(results) || results.length !== count) {
    throw new FunctionError(`the function must answer { results } with ${count} results`);
  }
  return (results as { records?: unknown; fault?: unknown }[]).map((result) => {
    if (typeof result?.fault === 'string') return { fault: reasonOf(new Error(result.fault)).replace(/^Error: /, '') };
    if (Array.isArray(result?.records) && result.records.every(isObject)) return asGiven(result.records);
    throw new FunctionError('each result of the function must have records, a list of objects, or a fault, a text');
  });
}

function asGiven(records: readonly DataRecord[]): WorkResult {
  return records.some((record) => isNestedDeeperThan(MOST_LEVELS, record))
    ? { fault: `the function gives a record that nests deeper than ${MOST_LEVELS} levels` }
    : { records };
}

function isObject(value: unknown): value is DataRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
