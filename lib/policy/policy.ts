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
   * How answers are kept and replayed.
   *
   * @default - no answer is stored; every request is computed
   */
  readonly cache?: CacheSettings;

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
}

/** One service that computes answers: a GPU fleet of the platform, or any OpenAI-compatible server by its URL. */
export interface Backend {
  /** Unique name: lower-case letters, digits and hyphens, at most 63 characters. */
  readonly name: string;

  /**
   * Base address, `http://` or `https://`, before `/v1/...`; without query or credentials. May be a CDK token.
   *
   * @default - a GPU fleet of the platform, whose address the platform fills in
   */
  readonly url?: string;

  /**
   * The model's name at this backend, where it differs from the name that clients use.
   *
   * @default - the name in the client's request
   */
  readonly modelName?: string;

  /**
   * How long the gateway waits.
   *
   * @default - 500 ms to connect, 10 s to the first token, 300 s in total
   */
  readonly timeouts?: BackendTimeouts;

  /**
   * How often a failed call is tried again on the same backend, before the next one in the chain.
   *
   * @default - one retry, within 10 % of the calls
   */
  readonly retries?: RetrySettings;

  /**
   * When the backend counts as failing, and is left alone for a while.
   *
   * @default - opens at 50 % failures of the last 100 calls, for 30 s
   */
  readonly breaker?: BreakerSettings;
}

/** Time limits of a backend, in milliseconds. */
export interface BackendTimeouts {
  /**
   * TCP and TLS connection, 10 to 60,000 ms.
   *
   * @default 500
   */
  readonly connectMs?: number;

  /**
   * From the request sent to the first byte of a stream or an embedding, 10 ms to `totalMs`. A chat or completion that is
   * not streamed sends its first byte when all of it is written: for that only `totalMs` holds.
   *
   * @default 10000
   */
  readonly firstTokenMs?: number;

  /**
   * From the request sent to the last byte, at most 870,000 ms: the function's own limit of 15 minutes, less the time
   * to settle.
   *
   * @default 300000
   */
  readonly totalMs?: number;
}

/** Retries on the same backend. Only ever before the first byte of an answer. */
export interface RetrySettings {
  /**
   * Retries of one request, 0 to 5.
   *
   * @default 1
   */
  readonly max?: number;

  /**
   * Retries allowed as a share of calls, 0 to 1, so that retries cannot multiply an outage.
   *
   * @default 0.1
   */
  readonly budgetRatio?: number;
}

/** A circuit breaker, with the semantics of resilience4j. */
export interface BreakerSettings {
  /**
   * The calls that count.
   *
   * @default - the last 100 calls
   */
  readonly window?: BreakerWindow;

  /**
   * Calls in the window before the breaker may open; at most the window's size.
   *
   * @default - 20, or the window's size where that is less
   */
  readonly minimumCalls?: number;

  /**
   * Opens at this share of failed calls, above 0, at most 1.
   *
   * @default 0.5
   */
  readonly failureRate?: number;

  /**
   * A first token, of a stream or an embedding, that takes longer counts as slow, in milliseconds.
   *
   * @default 5000
   */
  readonly slowFirstTokenMs?: number;

  /**
   * Opens at this share of slow calls, above 0, at most 1.
   *
   * @default 1
   */
  readonly slowRate?: number;

  /**
   * How long the breaker stays open before it lets probes through, 100 ms to 1 hour.
   *
   * @default 30000
   */
  readonly openMs?: number;

  /**
   * Calls let through in the half-open state, 1 to 100; their outcome closes or reopens the breaker.
   *
   * @default 3
   */
  readonly halfOpenProbes?: number;
}

/** The calls that a breaker judges. */
export interface BreakerWindow {
  /** How the window is measured. */
  readonly kind: BreakerWindowKind;

  /** Number of calls, 1 to 1,000. */
  readonly size: number;
}

/** How a breaker's window is measured. */
export enum BreakerWindowKind {
  /** The last `size` calls. */
  COUNT = 'count',
}

/** What clients may ask for. */
export interface Model {
  /** The value of a request's `model` field: 1 to 128 letters, digits and any of `. _ : / -`. Unique. */
  readonly name: string;

  /**
   * What the model does, and so which calls it serves.
   *
   * @default ModelKind.CHAT
   */
  readonly kind?: ModelKind;

  /** Names of backends, in order of preference: the first healthy one answers. At least one, each once. */
  readonly backends: string[];

  /**
   * Output tokens reserved for a request that sets no limit of its own, 1 to 1,000,000. Settled to the true number.
   *
   * @default 256 - the mean output of production chat traffic is 211 tokens (Azure LLM inference trace 2023)
   */
  readonly expectedOutputTokens?: number;

  /**
   * The text that answers when no backend can and no stored answer exists, for chat and completion models.
   *
   * @default - the client receives an error, 503 `backend_unavailable`
   */
  readonly degradedAnswer?: string;
}

/** What a model does. */
export enum ModelKind {
  /** `/v1/chat/completions` and `/v1/completions`. */
  CHAT = 'chat',
  /** `/v1/completions` only: a base model without a chat template. */
  COMPLETION = 'completion',
  /** `/v1/embeddings`. */
  EMBEDDING = 'embedding',
}

/** How answers are kept and replayed. Entries are never shared between tenants. */
export interface CacheSettings {
  /**
   * How long an answer is fresh, 1 second to 30 days.
   *
   * @default 3600
   */
  readonly ttlSeconds?: number;

  /**
   * How long beyond that it may still be served when no backend answers, 0 to 30 days.
   *
   * @default 86400
   */
  readonly staleSeconds?: number;
}

/** What the gateway does while the store cannot be reached. */
export enum StoreLoss {
  /** Serve on: each function instance holds its tenants to its own share of their limits. */
  LOCAL_LIMITS = 'localLimits',
  /** Answer 503 until the store is back: no request runs that is not counted. */
  REJECT = 'reject',
}
