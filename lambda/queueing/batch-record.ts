/** The states of a batch, as OpenAI names them. */
export type BatchStatus =
  'validating' | 'failed' | 'in_progress' | 'finalizing' | 'completed' | 'expired' | 'cancelling' | 'cancelled';

/** How many items ended how. */
export interface ItemCounts {
  readonly completed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What is wrong with a batch as a whole, or with a line of one that was not begun. */
export interface BatchFault {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
  /** From 1; null where it is no line's. */
  readonly line: number | null;
}

/** How far the input has been cut into items. */
export interface SplitState {
  /** Lines that were read. */
  readonly line: number;
  /** Bytes that were read. */
  readonly offset: number;
  /** Lines among them that were sent to the workers. */
  readonly sent: number;
  /** Lines among them that were refused, and have their error. */
  readonly rejected: number;
  /** Whether that is the whole input. */
  readonly done: boolean;
  /** When it last went on, in seconds since 1970. */
  readonly at: number;
  /** The invocation that noted this. */
  readonly by?: string;
}

/** Tokens of all answers of a batch. */
export interface TokenSums {
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly reasoning: number;
}

/** What was found while results were put together. */
export interface Tally extends ItemCounts {
  readonly tokens: TokenSums;
}

/** How far the results have been put together. */
export interface FinalState {
  /** Counts how often that was begun: once, and again after a redrive. */
  readonly revision: number;
  readonly outputFileId: string;
  readonly errorFileId: string;
  /** Lines that were read again. */
  readonly line: number;
  /** Bytes that were read again. */
  readonly offset: number;
  /** Of each part that was written before: bytes in the output and in the errors. */
  readonly parts: readonly { readonly output: number; readonly errors: number }[];
  /** Whether all lines are in the parts. */
  readonly walked: boolean;
  readonly tally: Tally;
  /** Who puts them together, and until when nobody else does, in seconds since 1970. */
  readonly owner: string;
  readonly until: number;
}

/** Results that stand. */
export interface BatchResult {
  readonly tally: Tally;
  readonly outputFileId?: string;
  readonly errorFileId?: string;
}

/** Where the requests are. */
export interface BatchInput {
  /** Key of the object. */
  readonly key: string;
  readonly bytes: number;
  /** Of the object when the batch was made: another one is not what was asked for. A job's nobody else can write. */
  readonly etag?: string;
  /** The file that the client uploaded; a job has none. */
  readonly fileId?: string;
}

/**
 * A batch, or a job, which is a batch of one line. Times are whole seconds since 1970, as clients see them.
 */
export interface BatchRecord {
  readonly id: string;
  readonly tenant: string;
  /** Name of the plan that the tenant had when it sent the work. */
  readonly plan: string;
  /** Counts changes: of two changes to the same version, the second is refused. */
  readonly version: number;
  /** Path that its requests go to. */
  readonly endpoint: string;
  readonly input: BatchInput;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Seconds for which the client wants its output kept. */
  readonly outputSeconds?: number;
  readonly status: BatchStatus;
  readonly createdAt: number;
  /** When work on it ends, done or not. */
  readonly deadline: number;
  readonly inProgressAt?: number;
  readonly cancellingAt?: number;
  readonly finalizingAt?: number;
  /** When it reached the state in which it stays. */
  readonly endedAt?: number;
  readonly split: SplitState;
  /** The model of its requests; null where they name several. */
  readonly model?: string | null;
  /** What is wrong with its lines, as long as none was good, and at most 50. */
  readonly faults: readonly BatchFault[];
  /** How it ends, once no more results are awaited. */
  readonly ending?: 'completed' | 'cancelled' | 'expired';
  readonly final?: FinalState;
  readonly result?: BatchResult;
  /** Set where a redriven item has replaced an error since the results were put together. */
  readonly stale?: boolean;
  /** When the record is forgotten. */
  readonly expiresAt: number;
}

/** States in which a batch stays. */
const ENDED: ReadonlySet<BatchStatus> = new Set(['failed', 'completed', 'expired', 'cancelled']);

/** Whether a batch has reached the state in which it stays. */
export function hasEnded({ status }: Pick<BatchRecord, 'status'>): boolean {
  return ENDED.has(status);
}
