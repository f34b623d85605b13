/**
 * How fleets are scaled where nothing else is said: the constructs deploy these numbers, and the simulator replays them.
 */

/** What one instance carries, and how its fleet follows. Times in seconds, shares in per cent. */
export const SCALING_DEFAULTS = {
  /** What a model of 8B parameters on a GPU with 24 GB has room for: a KV cache of some 35,000 tokens. */
  tokensPerInstance: 32_768,
  drainSeconds: 3600,
  kvCacheTarget: 80,
  gpuTarget: 70,
  /** How often Auto Scaling looks at a load. */
  periodSeconds: 10,
  /** How long the load without one instance is below 100 before that instance goes: the law has waited before. */
  releaseAfterSeconds: 60,
  /** From one instance that goes to the next. */
  scaleInIntervalSeconds: 120,
} as const;

/** Load at which a fleet has its right size, in per cent: the law's own 100. */
export const FULL_LOAD = 100;

/** Input tokens of one request that a step of a model server computes at most. */
export const LONG_INPUT_TOKENS = 512;

/** Input and reserved output of a request: the mean input of Azure's chat trace of 2023, and the policy's default. */
const TYPICAL_TOKENS = 1155 + 256;

/** Tokens in progress that an instance has room for: in its KV cache, and in its places for requests. */
export function ratedTokens(server: { readonly kvTokens: number; readonly maxRequests: number }): number {
  return Math.min(server.kvTokens, server.maxRequests * TYPICAL_TOKENS);
}
