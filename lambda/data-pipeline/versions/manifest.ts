import { canonical } from '../../../lib/policy/pipeline/schema-check';
import { sha256 } from '../digest';
import type { ShardSummary } from '../running/shard-summary';
import type { Embedding } from '../storage';

/** An object that is named by its content. */
export interface ObjectReference {
  readonly sha256: string;
  readonly bytes: number;
  /** Lines in it. */
  readonly records: number;
}

/** What a stage did in the making of a version. */
export interface StageAccount {
  readonly name: string;
  /** Digests of the schemas: the versions of the contract. */
  readonly inputSchema: string;
  readonly outputSchema: string;
  /**
   * The stage's rules of uniqueness, in the order by which the keys in the shards are told apart. Versions that are older than
   * this field lack it.
   */
  readonly unique?: readonly { readonly name: string; readonly fields: readonly string[] }[];
  readonly in: number;
  readonly out: number;
  readonly quarantined: number;
  /** Faults by rule. */
  readonly faults: Readonly<Record<string, number>>;
  /** What the work found, such as personal data by kind. */
  readonly found: Readonly<Record<string, number>>;
}

/** What went to a Glue job between two stages, and what came back. */
export interface Handover {
  /** The records that the job was given, by shard, and where they come from. */
  readonly given: readonly Pick<ShardSummary, 'part' | 'origins' | 'keys'>[];
  /** The files that the job wrote: an object of JSON lines, sorted by name. */
  readonly taken: ObjectReference;
}

/**
 * All that there is to know of a version. It holds no time, host or chance: the same input, definition and code give the same
 * bytes. It never changes, since the version is named by its hash.
 */
export interface Manifest {
  readonly format: 1;
  readonly pipeline: string;
  /** Digest of the definition with every default filled in. */
  readonly definition: string;
  /** Digest of the code that ran. */
  readonly code: string;
  /** The time that the run was for, where it was given one. */
  readonly asOf?: string;
  /** Versions that this one was made from. */
  readonly parents: readonly string[];
  /** The files that were read: an object of JSON lines, sorted by name. */
  readonly inputs: ObjectReference;
  readonly references: readonly { readonly name: string; readonly digest: string }[];
  /** Id of the run, where Glue jobs stand between stages: without them it follows from what stands here. */
  readonly run?: string;
  /** One for each Glue job that stands between stages, in their order; absent where none does. */
  readonly handovers?: readonly Handover[];
  readonly counts: {
    readonly read: number;
    readonly published: number;
    /** Entries in quarantine; one source record may have several. */
    readonly quarantined: number;
    /** Source records with an entry in quarantine. */
    readonly faulty: number;
  };
  /** Faults of reading, by rule. */
  readonly reading: Readonly<Record<string, number>>;
  readonly stages: readonly StageAccount[];
  readonly embedding?: Embedding;
  /** Schema of the records. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** The records, in order: objects of JSON lines, each with where its records come from. */
  readonly shards: readonly ShardSummary[];
  /** What monitors know of the version. */
  readonly profile: ObjectReference;
}

/** The manifest's bytes. */
export function manifestBytes(manifest: Manifest): string {
  return `${canonical(manifest)}\n`;
}

/** What a version is called: the first 32 digits of its manifest's SHA-256. */
export function versionOf(bytes: string | Uint8Array): string {
  return sha256(bytes).slice(0, 32);
}

/** What the keys of objects that are named by their content begin with. */
export const OBJECTS_PREFIX = 'objects/';

/** Key of an object that is named by its content. */
export function objectKey(digest: string): string {
  return `${OBJECTS_PREFIX}${digest.slice(0, 2)}/${digest}`;
}

/** Key of a version's manifest. */
export function manifestKey(version: string): string {
  return `versions/${version}.json`;
}
