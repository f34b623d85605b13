/** How answers are kept and replayed. Entries are not shared between tenants, unless a model's `cacheScope` says so. */
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

  /**
   * How long beyond `ttlSeconds` an answer is still served at once while one request computes it anew behind it, 0 to
   * `staleSeconds`.
   *
   * @default 0
   */
  readonly revalidateSeconds?: number;

  /**
   * Whether a request waits for an identical one that is being computed, in whatever function instance, in place of
   * computing the same.
   *
   * @default true
   */
  readonly singleFlight?: boolean;

  /**
   * Larger answers are not stored, 1,024 to 16,777,216 bytes.
   *
   * @default 1048576 - larger ones crowd out many small ones and hold up the store's one thread
   */
  readonly maxEntryBytes?: number;

  /**
   * Answers from this size on are stored compressed, at least 256 bytes.
   *
   * @default 4096 - smaller ones gain less than they cost
   */
  readonly compressAboveBytes?: number;

  /**
   * Answers chats whose last message means the same as an earlier one, in an otherwise equal request.
   *
   * @default - only equal requests are answered from the cache
   */
  readonly semantic?: SemanticCacheSettings;
}

/** Look-up by meaning. */
export interface SemanticCacheSettings {
  /** Name of the embedding model of the policy that compares messages. */
  readonly embeddingModel: string;

  /**
   * The least cosine similarity of an earlier message, above 0, at most 1. No threshold makes wrong answers impossible:
   * watch the share of semantic hits, and raise it where answers must be exact.
   *
   * @default 0.95
   */
  readonly minimumSimilarity?: number;

  /**
   * The most that embedding and search may take before the request goes on without them, 10 to 10,000 ms.
   *
   * @default 300
   */
  readonly timeoutMs?: number;
}
