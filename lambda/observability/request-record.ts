import type { Priority } from '../gateway/priority';
import type { BreakerStatus } from '../circuit-breaking/breaker';

/** What is told about a request when it is over. It holds no prompt, no answer and no key. */
export interface RequestRecord {
  readonly requestId: string;
  /** Arrival, in milliseconds since 1970. */
  readonly startedAt: number;
  durationMs: number;
  readonly priority: Priority;
  status: number;
  tenant?: string;
  plan?: string;
  /** Stands for who called by a token; a hash. */
  principal?: string;
  endpoint?: string;
  model?: string;
  stream?: boolean;
  backend?: string;
  cache?: string;
  /** The look-up by meaning, where one was made. */
  semantic?: SemanticOutcome;
  fallback?: string;
  errorCode?: string;
  refusedBy?: string;
  /** After how long a request is to be tried again that a limit, or breakers, did not let through; undefined if not known. */
  retryAfterMs?: number;
  /** Calls that failed, of a request that no backend answered; 0 where none could be called. */
  failedCalls?: number;
  timeToFirstTokenMs?: number;
  inputTokens?: number;
  outputTokens?: number;
  /** What the tokens cost, in the currency of the policy's prices; undefined for a model without a price. */
  cost?: number;
  retries?: number;
  /** Whether it waited for an identical request. */
  waited?: boolean;
  /** What came of computing a stored answer anew, behind the one that was given out. */
  revalidation?: 'stored' | 'failed';
  /** Whether a second backend was asked beside the first. */
  hedged?: boolean;
  /** Whether limits, breakers and cache of this process stood in for the store. */
  storeLost: boolean;
  hungUp: boolean;
  transitions?: readonly {
    readonly backend: string;
    readonly from: BreakerStatus;
    readonly to: BreakerStatus;
    readonly openUntil?: number;
  }[];
  /** A fault of ours. */
  fault?: { readonly message: string; readonly stack?: string };
}

/** What came of a look-up by meaning. */
export interface SemanticOutcome {
  /**
   * `late`: its time was over before it ended; `unembedded`: the embedding model gave no vector; `failed`: the store did
   * not search.
   */
  readonly outcome: 'hit' | 'miss' | 'late' | 'unembedded' | 'failed';
  readonly durationMs: number;
  /** Of the question that was answered in its place: the cosine, at most 1. */
  readonly similarity?: number;
  /** Tokens that the embedding model took; undefined where the text's vector was known. */
  readonly embeddingTokens?: number;
  /** Why it failed, or why the question could not be kept. */
  readonly reason?: string;
}

/** Where records go. */
export type RecordSink = (record: RequestRecord) => void;
