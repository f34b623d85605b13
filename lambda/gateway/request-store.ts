import type { ResolvedBackend, ResolvedPlan } from '../../lib/policy/defaults';
import type { BreakerStatus, Claim, Outcome } from '../circuit-breaking/breaker';
import type { CacheEntry, CacheUse, StoredEntry } from '../caching/entry';
import type { Charge, LimitName } from '../rate-limiting/gcra';
import type { Idempotency } from './idempotency';

/** What the store is asked before a request runs. */
export interface AdmitRequest {
  /** Id of the request's parallel slot and permits: letters, digits and hyphens. */
  readonly id: string;
  readonly tenant: string;
  readonly plan: ResolvedPlan;
  /** Tokens to reserve. */
  readonly tokens: number;
  /** When a crashed function's slot frees itself. */
  readonly leaseMs: number;
  /** The cache's part; undefined where nothing is looked up or stored. */
  readonly cache?: CacheUse;
  /** Set where the client wants one computation, however often it asks. */
  readonly idempotency?: Idempotency;
  /** Backends whose breakers are read. */
  readonly backends: readonly string[];
}

/** What a breaker looked like at admission. */
export interface BreakerView {
  readonly status: BreakerStatus;
  readonly openUntil: number;
}

/** What the store answered. */
export interface Admission {
  /**
   * `hit`: a stored answer; `uncached`: none, and the client wants nothing else; `limited`: a limit is spent; `conflict`:
   * the idempotency key was used for another request; `running`: the same request is being computed.
   */
  readonly verdict: 'admitted' | 'hit' | 'uncached' | 'limited' | 'conflict' | 'running';
  /** The store's clock, in milliseconds. */
  readonly now: number;
  /** The limits that were charged, with their arrival times after it. */
  readonly limits: readonly { readonly charge: Charge; readonly arrival: number }[];
  readonly refusedBy?: LimitName | 'parallel';
  readonly retryAfterMs: number;
  /** The stored answer of a hit. */
  readonly entry?: StoredEntry;
  /** Whether there is an answer past its time, which may be read should every backend fail. */
  readonly stale: boolean;
  readonly breakers: Readonly<Record<string, BreakerView>>;
}

/** A call's outcome at one backend. */
export interface CallOutcome {
  readonly backend: ResolvedBackend;
  readonly id: string;
  /** Whether the call held a probe's permit. */
  readonly probe: boolean;
  readonly outcome: Outcome;
  /** How long the backend wants to be left alone, in milliseconds; undefined where it did not say. */
  readonly cooldownMs?: number;
}

/** What the store is told after a request's last byte. */
export interface Settlement {
  readonly admitted: AdmitRequest;
  /** Tokens that were used, less those that were reserved. */
  readonly tokenDifference: number;
  readonly outcomes: readonly CallOutcome[];
  /** Answer to store, and to keep under the idempotency key. */
  readonly entry?: CacheEntry;
}

/** A breaker that changed its state. */
export interface Transition {
  readonly backend: string;
  readonly from: BreakerStatus;
  readonly to: BreakerStatus;
  /** When a breaker that opened lets probes through, in milliseconds since 1970; undefined where that is not known. */
  readonly openUntil?: number;
}

/** Where limits, breakers and stored answers are kept: the shared store, or this process while that is lost. */
export interface RequestStore {
  /** One round trip before the backend is called. */
  admit(request: AdmitRequest): Promise<Admission>;
  /** Claims a probe at a breaker that is not closed: the one extra trip, and only then. */
  claim(backend: ResolvedBackend, probe: { readonly id: string; readonly leaseMs: number }): Promise<Claim>;
  /** Reads an answer past its time, when all else has failed. */
  readStale(key: string, now: number): Promise<StoredEntry | undefined>;
  /** One round trip after the answer; says which breakers changed. */
  settle(settlement: Settlement): Promise<readonly Transition[]>;
}

/** The store did not answer in time or cannot be reached. */
export class StoreLost extends Error {
  /** @param unsent whether it was known to be lost before anything was sent: nothing of the trip can have run */
  constructor(
    cause: unknown,
    public readonly unsent = false,
  ) {
    super(`the store is lost: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'StoreLost';
  }
}
