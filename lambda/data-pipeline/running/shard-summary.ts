import type { ObjectReference } from '../versions/manifest';

/** What became of a shard. Its objects are in the store when it is written. */
export interface ShardSummary {
  readonly index: number;
  /** Source records. */
  readonly read: number;
  /** Source records with an entry in quarantine. */
  readonly faulty: number;
  /** By stage. */
  readonly stages: readonly StageCounts[];
  /** Faults by stage and rule: `{ "clean": { "amount-range": 3 } }`; those of reading under `read`. */
  readonly faults: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The records: JSON lines. */
  readonly part: ObjectReference;
  /** For each line of the part `[file, offset, ordinal, branch]`. */
  readonly origins: ObjectReference;
  /** JSON lines of `QuarantinedRecord`, with the ordinal. */
  readonly quarantine: ObjectReference;
  /** Keys of rules of uniqueness, a line each: `stage rule hash ordinal branch offset bytes file`, the file as JSON. */
  readonly keys: ObjectReference;
  /** JSON of a `Profile`. */
  readonly profile: ObjectReference;
}

/** Records that went in and came out of a stage. */
export interface StageCounts {
  readonly in: number;
  readonly out: number;
  readonly quarantined: number;
  readonly found: Readonly<Record<string, number>>;
}

/** The name under which faults of reading are counted and quarantined; no stage may have it. */
export { READING_STAGE as READING } from '../../../lib/policy/pipeline/validate-pipeline';
