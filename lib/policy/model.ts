/** What clients may ask for. */
export interface Model {
  /**
   * The value of a request's `model` field: 1 to 128 letters, digits and any of `. _ : / -`. Unique. A service's stands
   * in its path, and has neither `/` nor `:`.
   */
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
   * Shares of the load, by the backend's name, whole, 1 to 1,000. The backends with a share are one group: each request
   * goes to the one with the fewest tokens in progress for its share. Backends without one are fallbacks, in order.
   *
   * @default - the first healthy backend answers
   */
  readonly weights?: Record<string, number>;

  /**
   * Asks a second backend where the first is late, and takes the answer that begins first.
   *
   * @default - no second call
   */
  readonly hedging?: HedgingSettings;

  /**
   * What its tokens cost, for plans with `moneyPerMonth` and for the cost metric.
   *
   * @default - no price
   */
  readonly price?: TokenPrice;

  /**
   * Who shares the model's stored answers.
   *
   * @default CacheScope.TENANT
   */
  readonly cacheScope?: CacheScope;

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
  /** `/v1/services/{name}`: any JSON in, any JSON out, such as retrieval, reranking or moderation. */
  SERVICE = 'service',
}

/** When a second backend is asked. Second calls are taken from the retry budget of their backend. */
export interface HedgingSettings {
  /**
   * The share of first tokens that arrive sooner than the second call is sent, 0.5 to 0.999, as measured at the first
   * backend by each function instance; none is sent before 20 calls have been measured.
   *
   * @default 0.95
   */
  readonly percentile?: number;

  /**
   * The least delay of the second call, 1 to 60,000 ms.
   *
   * @default 50
   */
  readonly minimumDelayMs?: number;
}

/** What tokens cost, in one currency for the whole policy. */
export interface TokenPrice {
  /** A million input tokens, at least 0. */
  readonly inputPerMillionTokens: number;

  /** A million output tokens, at least 0. */
  readonly outputPerMillionTokens: number;
}

/** Who shares stored answers. */
export enum CacheScope {
  /** Each tenant has its own. */
  TENANT = 'tenant',
  /** All tenants whose plan may use the model: only where no prompt or answer is confidential between them. */
  SHARED = 'shared',
}
