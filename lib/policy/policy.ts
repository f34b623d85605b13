import type { Backend } from './backend';
import type { BatchSettings, TenantWebhook } from './batch-settings';
import type { CacheSettings } from './cache-settings';
import type { Model } from './model';

/**
 * The policy: plans, tenants, backends, models, cache and store-loss rules as one piece of plain data.
 *
 * The constructs render it into CloudFormation, the handlers obey it at run time and `cdk-inference-platform start`
 * serves it on a laptop. It imports nothing of AWS and holds no secret.
 */
export interface InferencePolicy {
  /** What a tenant may use. At least one; names are unique. */
  readonly plans: Plan[];

  /** Who may call. At least one; names are unique. */
  readonly tenants: Tenant[];

  /** What computes answers. At least one; names are unique. */
  readonly backends: Backend[];

  /** What clients may ask for: the values of a request's `model` field. At least one; names are unique. */
  readonly models: Model[];

  /**
   * OpenID Connect issuers whose tokens (JWT) let tenants in, beside API keys. Each issuer once.
   *
   * @default - API keys only
   */
  readonly issuers?: TokenIssuer[];

  /**
   * How answers are kept and replayed.
   *
   * @default - no answer is stored; every request is computed
   */
  readonly cache?: CacheSettings;

  /**
   * How much background work may take, and how large it may be.
   *
   * @default - the defaults of each setting
   */
  readonly batch?: BatchSettings;

  /**
   * What the gateway does while the store that holds limits, breakers and the cache cannot be reached.
   *
   * @default StoreLoss.LOCAL_LIMITS
   */
  readonly onStoreLoss?: StoreLoss;
}

/** What a tenant may use, per tenant. Limits are token buckets: a quiet minute earns at most one full burst. */
export interface Plan {
  /** Unique name: lower-case letters, digits and hyphens, a letter or digit at each end, at most 63 characters. */
  readonly name: string;

  /** Requests per minute, whole, at least 1. Also the burst that an idle tenant may send at once. */
  readonly requestsPerMinute: number;

  /**
   * Tokens per minute, input and output together, whole, at least 1. Estimated before a request runs, corrected to the
   * true usage after it; a debt is carried.
   */
  readonly tokensPerMinute: number;

  /**
   * Requests of one tenant in progress at the same time, 1 to 10,000.
   *
   * @default 32
   */
  readonly parallelRequests?: number;

  /**
   * Tokens per day (24 hours, refilled continuously), whole; at least `tokensPerMinute`.
   *
   * @default - no daily limit
   */
  readonly tokensPerDay?: number;

  /**
   * What the tokens of a calendar month (UTC) may cost, in the currency of the models' prices, above 0. Reserved and
   * settled as tokens are. Every model that the plan may use needs a `price`.
   *
   * @default - no monthly limit
   */
  readonly moneyPerMonth?: number;

  /**
   * Requests per calendar day (UTC), enforced by the API's usage plan; at least `requestsPerMinute`.
   *
   * @default - no daily limit
   */
  readonly requestsPerDay?: number;

  /**
   * The most tokens that one request may reserve: its estimated input plus what it asks to generate (all choices
   * together). At most `tokensPerMinute`.
   *
   * @default - 8192, or `tokensPerMinute` where that is less
   */
  readonly maxTokensPerRequest?: number;

  /**
   * Names of the models that the plan may use; for its tenants no other model exists.
   *
   * @default - all models of the policy
   */
  readonly models?: string[];

  /**
   * Limits that hold for single models, within those of the plan. Each model once.
   *
   * @default - a model is limited by the plan alone
   */
  readonly modelLimits?: ModelLimits[];

  /**
   * Share in a backend's capacity while that is short, relative to the other plans, whole, 1 to 1,000.
   *
   * @default 1
   */
  readonly weight?: number;
}

/** Limits of one model within a plan, per tenant. At least one of them. */
export interface ModelLimits {
  /** Name of the model. */
  readonly model: string;

  /**
   * Requests per minute, whole, at most the plan's.
   *
   * @default - the plan's limit alone
   */
  readonly requestsPerMinute?: number;

  /**
   * Tokens per minute, whole, at most the plan's.
   *
   * @default - the plan's limit alone
   */
  readonly tokensPerMinute?: number;

  /**
   * Tokens per day, whole, at least `tokensPerMinute` of the same model.
   *
   * @default - the plan's limit alone
   */
  readonly tokensPerDay?: number;
}

/** One client organisation. Everything that is limited, cached or counted is kept apart by tenant. */
export interface Tenant {
  /** Unique name: lower-case letters, digits and hyphens, at most 63 characters. */
  readonly name: string;

  /** Name of the tenant's plan. */
  readonly plan: string;

  /**
   * Keys in plain text, for a local run only: a synthesised policy that holds one is refused, since it would end up in
   * a template. Each at least 8 characters without white space.
   *
   * @default - the API makes a key at deployment; a local run makes one at start
   */
  readonly keys?: string[];

  /**
   * Where the tenant is told of batches and jobs that have ended.
   *
   * @default - the tenant asks for them
   */
  readonly webhook?: TenantWebhook;
}

/** An OpenID Connect issuer whose tokens let tenants in. */
export interface TokenIssuer {
  /** The tokens' `iss` claim, an `https://` address. */
  readonly issuer: string;

  /** What the tokens' `aud` claim must hold: whom they were made for. */
  readonly audience: string;

  /**
   * Where the issuer's keys are (a JSON Web Key Set), an `https://` address.
   *
   * @default - `jwks_uri` in `ISSUER/.well-known/openid-configuration`
   */
  readonly jwksUrl?: string;

  /**
   * The claim that names the tenant. Its value must be the name of a tenant of the policy.
   *
   * @default 'tenant'
   */
  readonly tenantClaim?: string;
}

/** What the gateway does while the store cannot be reached. */
export enum StoreLoss {
  /** Serve on: each function instance holds its tenants to its own share of their limits. */
  LOCAL_LIMITS = 'localLimits',
  /** Answer 503 until the store is back: no request runs that is not counted. */
  REJECT = 'reject',
}
