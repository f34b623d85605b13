import {
  type Backend,
  type BackendTimeouts,
  type BedrockModel,
  BedrockApi,
  type BreakerSettings,
  BreakerWindowKind,
  type RetrySettings,
} from './backend';
import type { BatchSettings } from './batch-settings';
import type { CacheSettings, SemanticCacheSettings } from './cache-settings';
import { CacheScope, type HedgingSettings, type Model, ModelKind } from './model';
import { type InferencePolicy, type Plan, StoreLoss, type TokenIssuer } from './policy';

/** A plan with every default filled in; `undefined` means no such limit. */
export type ResolvedPlan = Plan & Required<Pick<Plan, 'parallelRequests' | 'maxTokensPerRequest' | 'weight'>>;

/** A backend with every default filled in. */
export type ResolvedBackend = Omit<Backend, 'timeouts' | 'retries' | 'breaker' | 'bedrock'> & {
  readonly timeouts: Required<BackendTimeouts>;
  readonly retries: Required<RetrySettings>;
  readonly breaker: Required<BreakerSettings>;
  readonly bedrock?: BedrockModel & Required<Pick<BedrockModel, 'api'>>;
};

/** A model with every default filled in. */
export type ResolvedModel = Omit<Model, 'hedging'> &
  Required<Pick<Model, 'kind' | 'expectedOutputTokens' | 'cacheScope'>> & {
    readonly hedging?: Required<HedgingSettings>;
  };

/** The cache's settings with every default filled in. */
export type ResolvedCache = Required<Omit<CacheSettings, 'semantic'>> & {
  readonly semantic?: Required<SemanticCacheSettings>;
};

/** The settings of background work with every default filled in. */
export type ResolvedBatch = Required<BatchSettings>;

/** The policy with every default filled in: what the handlers obey. */
export interface ResolvedPolicy {
  readonly plans: readonly ResolvedPlan[];
  readonly tenants: InferencePolicy['tenants'];
  readonly backends: readonly ResolvedBackend[];
  readonly models: readonly ResolvedModel[];
  readonly issuers: readonly ResolvedIssuer[];
  readonly cache?: ResolvedCache;
  readonly batch: ResolvedBatch;
  readonly onStoreLoss: StoreLoss;
}

/** An issuer with every default filled in; without `jwksUrl` the issuer's own configuration says where its keys are. */
export type ResolvedIssuer = TokenIssuer & Required<Pick<TokenIssuer, 'tenantClaim'>>;

const TIMEOUTS: Required<BackendTimeouts> = {
  connectMs: 500,
  firstTokenMs: 10_000,
  idleMs: 30_000,
  totalMs: 300_000,
};
const RETRIES: Required<RetrySettings> = { max: 1, budgetRatio: 0.1 };
const BREAKER_WINDOW = { kind: BreakerWindowKind.COUNT, size: 100 };
const MAX_OPEN_MS = 300_000;
const HEDGING: Required<HedgingSettings> = { percentile: 0.95, minimumDelayMs: 50 };
const SEMANTIC = { minimumSimilarity: 0.95, timeoutMs: 300 };

/** Fills in the defaults of a valid policy. */
export function resolvePolicy(policy: InferencePolicy): ResolvedPolicy {
  return {
    plans: policy.plans.map(resolvePlan),
    tenants: policy.tenants,
    backends: policy.backends.map(resolveBackend),
    models: policy.models.map(resolveModel),
    issuers: (policy.issuers ?? []).map((issuer) => ({ tenantClaim: 'tenant', ...issuer })),
    ...(policy.cache && { cache: resolveCache(policy.cache) }),
    batch: resolveBatch(policy.batch ?? {}),
    onStoreLoss: policy.onStoreLoss ?? StoreLoss.LOCAL_LIMITS,
  };
}

/** Fills in the defaults of one plan. */
export function resolvePlan(plan: Plan): ResolvedPlan {
  return { parallelRequests: 32, maxTokensPerRequest: Math.min(8192, plan.tokensPerMinute), weight: 1, ...plan };
}

/** Fills in the defaults of the cache. */
export function resolveCache({ semantic, ...cache }: CacheSettings): ResolvedCache {
  return {
    ttlSeconds: 3600,
    staleSeconds: 86_400,
    revalidateSeconds: 0,
    singleFlight: true,
    maxEntryBytes: 1_048_576,
    compressAboveBytes: 4096,
    ...cache,
    ...(semantic && { semantic: { ...SEMANTIC, ...semantic } }),
  };
}

/** Fills in the defaults of background work. */
export function resolveBatch(batch: BatchSettings): ResolvedBatch {
  return {
    ceiling: 0.7,
    parallelItems: 50,
    maxRequests: 100_000,
    maxFileBytes: 1024 ** 3,
    maxLineBytes: 1024 ** 2,
    retentionDays: 30,
    maxAttempts: 5,
    ...batch,
  };
}

function resolveModel({ hedging, ...model }: Model): ResolvedModel {
  return {
    kind: ModelKind.CHAT,
    expectedOutputTokens: 256,
    cacheScope: CacheScope.TENANT,
    ...model,
    ...(hedging && { hedging: { ...HEDGING, ...hedging } }),
  };
}

function resolveBackend({ bedrock, ...backend }: Backend): ResolvedBackend {
  const timeouts = { ...TIMEOUTS, ...backend.timeouts };
  const window = backend.breaker?.window ?? BREAKER_WINDOW;
  const minimumCalls = window.kind === BreakerWindowKind.COUNT ? Math.min(20, window.size) : 20;
  const openMs = backend.breaker?.openMs ?? 30_000;
  return {
    ...backend,
    ...(bedrock && { bedrock: { api: BedrockApi.CONVERSE, ...bedrock } }),
    timeouts: {
      ...timeouts,
      firstTokenMs: Math.min(timeouts.firstTokenMs, timeouts.totalMs),
      idleMs: Math.min(timeouts.idleMs, timeouts.totalMs),
    },
    retries: { ...RETRIES, ...backend.retries },
    breaker: {
      minimumCalls,
      failureRate: 0.5,
      slowFirstTokenMs: 5000,
      slowRate: 1,
      maxOpenMs: Math.max(MAX_OPEN_MS, openMs),
      maxCooldownMs: 60_000,
      halfOpenProbes: 3,
      ...backend.breaker,
      openMs,
      window,
    },
  };
}
