import {
  type Backend,
  type BackendTimeouts,
  type BreakerSettings,
  BreakerWindowKind,
  type CacheSettings,
  type InferencePolicy,
  type Model,
  ModelKind,
  type Plan,
  type RetrySettings,
  StoreLoss,
} from './policy';

/** A plan with every default filled in; `undefined` means no such limit. */
export type ResolvedPlan = Plan & Required<Pick<Plan, 'parallelRequests' | 'maxTokensPerRequest'>>;

/** A backend with every default filled in. */
export type ResolvedBackend = Omit<Backend, 'timeouts' | 'retries' | 'breaker'> & {
  readonly timeouts: Required<BackendTimeouts>;
  readonly retries: Required<RetrySettings>;
  readonly breaker: Required<BreakerSettings>;
};

/** A model with every default filled in. */
export type ResolvedModel = Model & Required<Pick<Model, 'kind' | 'expectedOutputTokens'>>;

/** The policy with every default filled in: what the handlers obey. */
export interface ResolvedPolicy {
  readonly plans: readonly ResolvedPlan[];
  readonly tenants: InferencePolicy['tenants'];
  readonly backends: readonly ResolvedBackend[];
  readonly models: readonly ResolvedModel[];
  readonly cache?: Required<CacheSettings>;
  readonly onStoreLoss: StoreLoss;
}

const TIMEOUTS: Required<BackendTimeouts> = { connectMs: 500, firstTokenMs: 10_000, totalMs: 300_000 };
const RETRIES: Required<RetrySettings> = { max: 1, budgetRatio: 0.1 };
const BREAKER_WINDOW = { kind: BreakerWindowKind.COUNT, size: 100 };
const CACHE: Required<CacheSettings> = { ttlSeconds: 3600, staleSeconds: 86_400 };

/** Fills in the defaults of a valid policy. */
export function resolvePolicy(policy: InferencePolicy): ResolvedPolicy {
  return {
    plans: policy.plans.map(resolvePlan),
    tenants: policy.tenants,
    backends: policy.backends.map(resolveBackend),
    models: policy.models.map((model) => ({ kind: ModelKind.CHAT, expectedOutputTokens: 256, ...model })),
    ...(policy.cache && { cache: { ...CACHE, ...policy.cache } }),
    onStoreLoss: policy.onStoreLoss ?? StoreLoss.LOCAL_LIMITS,
  };
}

/** Fills in the defaults of one plan. */
export function resolvePlan(plan: Plan): ResolvedPlan {
  return { parallelRequests: 32, maxTokensPerRequest: Math.min(8192, plan.tokensPerMinute), ...plan };
}

function resolveBackend(backend: Backend): ResolvedBackend {
  const timeouts = { ...TIMEOUTS, ...backend.timeouts };
  const window = backend.breaker?.window ?? BREAKER_WINDOW;
  return {
    ...backend,
    timeouts: { ...timeouts, firstTokenMs: Math.min(timeouts.firstTokenMs, timeouts.totalMs) },
    retries: { ...RETRIES, ...backend.retries },
    breaker: {
      minimumCalls: Math.min(20, window.size),
      failureRate: 0.5,
      slowFirstTokenMs: 5000,
      slowRate: 1,
      openMs: 30_000,
      halfOpenProbes: 3,
      ...backend.breaker,
      window,
    },
  };
}
