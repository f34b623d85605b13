import type { ResolvedBackend, ResolvedModel, ResolvedPlan } from '../../lib/policy/defaults';
import type { BreakerStatus, Claim, Passage } from '../circuit-breaking/breaker';
import type { Outcome } from '../circuit-breaking/outcome-window';
import type { CacheEntry, CacheUse, StoredEntry } from '../caching/entry';
import type { ChainLink } from '../load-balancing/chain';
import type { Charge } from '../rate-limiting/gcra';
import type { Idempotency } from './idempotency';

/** Tokens of one request. */
export interface Tokens {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What the store is asked before a request runs. */
export interface AdmitRequest extends Tokens {
  /** Id of the request's parallel slot and permits: letters, digits and hyphens. */
  readonly id: string;
  readonly tenant: string;
  readonly plan: ResolvedPlan;
  readonly model: ResolvedModel;
  /** When a crashed function's slot frees itself. */
  readonly leaseMs: number;
  /** The cache's part; undefined where nothing is looked up or stored. */
  readonly cache?: CacheUse;
  /** Set where the client wants one computation, however often it asks. */
  readonly idempotency?: Idempotency;
  /** The model's backends: their breakers are read, and the request is counted at the one that it should go to. */
  readonly chain: readonly ChainLink[];
  /**
   * Set for background work: the share of each limit, of the tenant's parallel requests and of each backend's capacity that
   * may be in use with it. Undefined for an interactive request, which may use all of them.
   */
  readonly ceiling?: number;
  /** Set where the client says that it was refused and asks again: the work is not counted twice. */
  readonly asksAgain?: boolean;
  /** Set where the request has waited for an identical one, and has paid for itself: it waits no more. */
  readonly hasWaited?: boolean;
}

/** Limits that may refuse a request. */
export type RefusedBy = Pick<Charge, 'limit' | 'model'> | { readonly limit: 'parallel' | 'capacity' };

/** What a backend looked like at admission. */
export interface BackendState {
  readonly backend: ResolvedBackend;
  /** Whether it may be called; `short`: it may, but not by this tenant, which has its share of what is scarce. */
  readonly passage: Passage | 'short';
  /** When that ends, for `blocked` and `cooling`, in milliseconds; 0 where it is not known. */
  readonly until: number;
}

/** What the store answered. */
export interface Admission {
  /**
   * `hit`: a stored answer; `revalidate`: a stored answer past its time, which this request is to compute anew behind it;
   * `wait`: an identical request is being computed; `uncached`: no stored answer, and the client wants nothing else;
   * `limited`: a limit is spent; `conflict`: the idempotency key was used for another request; `running`: the request of
   * the same idempotency key is being computed.
   */
  readonly verdict: 'admitted' | 'hit' | 'revalidate' | 'wait' | 'uncached' | 'limited' | 'conflict' | 'running';
  /** The store's clock, in milliseconds. */
  readonly now: number;
  /** The limits that were charged, with their arrival times after it. */
  readonly limits: readonly { readonly charge: Charge; readonly arrival: number }[];
  readonly refusedBy?: RefusedBy;
  readonly retryAfterMs: number;
  /** The stored answer of `hit` and `revalidate`. */
  readonly entry?: StoredEntry;
  /** Whether that answer is past its time. */
  readonly entryIsStale: boolean;
  /** Whether there is an answer past its time, which may be read should every backend fail. */
  readonly stale: boolean;
  /** The backends in the order in which they should be tried. */
  readonly backends: readonly BackendState[];
  /** Name of the backend at which the request is counted. */
  readonly loadedAt?: string;
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
  /** Where the request is counted; undefined where that is not known, and may be at any backend of its chain. */
  readonly loadedAt?: string;
  /** Tokens that were used. */
  readonly used: Tokens;
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
  claim(
    backend: ResolvedBackend,
    admitted: AdmitRequest,
  ): Promise<{ readonly claim: Claim; readonly transition?: Transition }>;
  /** Whether the identical request that another waits for is still being computed. */
  isFlying(request: AdmitRequest): Promise<boolean>;
  /** Frees the slot of a request that has waited and goes no further. */
  leave(request: AdmitRequest): Promise<void>;
  /** Reads an answer past its time, when all else has failed. */
  readStale(key: string, now: number): Promise<StoredEntry | undefined>;
  /** One round trip after the answer; says which breakers changed. */
  settle(settlement: Settlement): Promise<readonly Transition[]>;
}

/** The store that stands in while the shared one is lost. */
export interface StandInStore extends RequestStore {
  /** Notes what the shared store said of the backends, to begin with it should that be lost. */
  observe(backends: readonly BackendState[]): void;
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
