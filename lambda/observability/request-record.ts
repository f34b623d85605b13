import type { BreakerStatus } from '../circuit-breaking/breaker';

/** What is told about a request when it is over. It holds no prompt, no answer and no key. */
export interface RequestRecord {
  readonly requestId: string;
  /** Arrival, in milliseconds since 1970. */
  readonly startedAt: number;
  durationMs: number;
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
  fallback?: string;
  errorCode?: string;
  refusedBy?: string;
  timeToFirstTokenMs?: number;
  inputTokens?: number;
  outputTokens?: number;
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

/** Where records go. */
export type RecordSink = (record: RequestRecord) => void;
