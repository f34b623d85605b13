/** One service that computes answers: a GPU fleet of the platform, any HTTP service by its URL, or Amazon Bedrock. */
export interface Backend {
  /** Unique name: lower-case letters, digits and hyphens, at most 63 characters. */
  readonly name: string;

  /**
   * Base address, `http://` or `https://`, before `/v1/...`; without query or credentials, of a server that asks for no key.
   * May be a CDK token.
   *
   * @default - a GPU fleet of the platform, or a pipeline's index or a feature store of it: the platform fills the address in
   */
  readonly url?: string;

  /**
   * The one path at this backend that takes the calls, below its base address, beginning with `/`.
   *
   * @default - OpenAI's path of each call, such as `/v1/chat/completions`; for a service `/`
   */
  readonly path?: string;

  /**
   * Amazon Bedrock answers, in place of an HTTP service. Excludes `url`, `path` and `modelName`.
   *
   * @default - an HTTP service
   */
  readonly bedrock?: BedrockModel;

  /**
   * Tokens, input and reserved output together, that the backend carries at one time. When they are spent, tenants share
   * them by the weight of their plans, and whoever has its share is refused.
   *
   * @default - no bound: nobody is refused for what others do. A fleet with bounded admission has room for what its
   *   instances in service carry.
   */
  readonly capacityTokens?: number;

  /**
   * The model's name at this backend, where it differs from the name that clients use.
   *
   * @default - the name in the client's request
   */
  readonly modelName?: string;

  /**
   * How long the gateway waits.
   *
   * @default - 500 ms to connect, 10 s to the first token, 30 s between chunks, 300 s in total
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

/** A model of Amazon Bedrock. */
export interface BedrockModel {
  /**
   * Id of a foundation model, such as `amazon.nova-lite-v1:0`, or of an inference profile, or the ARN of one of them. May be
   * a CDK token, which must stand for an ARN: permissions are granted on it.
   */
  readonly modelId: string;

  /**
   * Region whose Bedrock answers.
   *
   * @default - the region of the platform
   */
  readonly region?: string;

  /**
   * Which of Bedrock's interfaces is called.
   *
   * @default BedrockApi.CONVERSE
   */
  readonly api?: BedrockApi;
}

/** Bedrock's interfaces for chats. */
export enum BedrockApi {
  /** Serves every chat model of Bedrock; the gateway translates. */
  CONVERSE = 'converse',
  /** Speaks the OpenAI protocol, for the models that Bedrock offers by it. */
  OPENAI = 'openai',
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
   * From the request sent to the first byte of a stream, an embedding or a service's answer, 10 ms to `totalMs`. A chat or
   * completion that is not streamed sends its first byte when all of it is written: for that only `totalMs` holds.
   *
   * @default 10000
   */
  readonly firstTokenMs?: number;

  /**
   * Longest silence within an answer that has begun, 10 ms to `totalMs`.
   *
   * @default - 30000, or `totalMs` where that is less
   */
  readonly idleMs?: number;

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
   * A first token, of a stream, an embedding or a service, that takes longer counts as slow, in milliseconds.
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
   * Each time that the probes fail, the breaker stays open twice as long as the time before, up to this; at least
   * `openMs`, at most 1 hour. It starts again at `openMs` once it has been closed.
   *
   * @default - 300000, or `openMs` where that is more
   */
  readonly maxOpenMs?: number;

  /**
   * A backend that answers 429 with `retry-after` is left alone for that time, at most this, 0 to 1 hour. It does not
   * count as failed.
   *
   * @default 60000
   */
  readonly maxCooldownMs?: number;

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

  /** Number of calls, 1 to 1,000, or of seconds, 1 to 3,600. */
  readonly size: number;
}

/** How a breaker's window is measured. */
export enum BreakerWindowKind {
  /** The last `size` calls. */
  COUNT = 'count',
  /** The calls of the last `size` seconds, in steps of a sixtieth of it, at least 1 s. */
  TIME = 'time',
}
