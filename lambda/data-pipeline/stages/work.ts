import type { ResolvedWork } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { DataRecord } from '../reading/source-record';

/** What became of one record: the records that it turned into, or why it is at fault. */
export type WorkResult = { readonly records: readonly DataRecord[] } | { readonly fault: string };

/** How often each kind of thing was found, by its name. */
export type Findings = Record<string, number>;

/** The work that may make several records of one, which are told apart by their branch from then on. */
export const FANS_OUT: ReadonlySet<ResolvedWork['kind']> = new Set(['chunk', 'function']);

/** Does a stage's work on a batch of records. */
export interface Worker {
  /** Whether one record may turn into several. */
  readonly fansOut: boolean;
  /**
   * One result for each record, in order. What it throws is no fault of a record and ends the run.
   */
  run(records: readonly DataRecord[], findings: Findings): WorkResult[] | Promise<WorkResult[]>;
}

/** A record that a stage cannot work on. Its message must not repeat what may be personal. */
export class RecordFault extends Error {}

/** Longest reason that is kept of an error that is not ours. */
const MOST_REASON = 200;

/** A worker from a function of one record. A record on which it throws is at fault, and the others go on. */
export function eachRecord(
  fansOut: boolean,
  work: (record: DataRecord, findings: Findings) => readonly DataRecord[],
): Worker {
  return {
    fansOut,
    run: (records, findings) =>
      records.map((record) => {
        try {
          return { records: work(record, findings) };
        } catch (error) {
          return { fault: reasonOf(error) };
        }
      }),
  };
}

/** A worker whose work is timed: each batch's seconds are told. */
export function timed(worker: Worker, spent: (seconds: number) => void): Worker {
  return {
    fansOut: worker.fansOut,
    run: async (records, findings) => {
      const begun = performance.now();
      try {
        return await worker.run(records, findings);
      } finally {
        spent((performance.now() - begun) / 1000);
      }
    },
  };
}

/** Why something failed, on one line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const line = (error instanceof RecordFault ? error.message : text).replace(/\s+/g, ' ').trim();
  return line.length > MOST_REASON ? `${line.slice(0, MOST_REASON - 1)}…` : line;
}
