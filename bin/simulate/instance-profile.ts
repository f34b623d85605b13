import { UserError } from '../user-error';
import { LONG_INPUT_TOKENS } from '../../lib/policy/scaling-defaults';

/** How fast a model server is, and how much it holds. One step of it gives each running request one token. */
export interface InstanceProfile {
  readonly name: string;
  /** Time of a step, whatever it does, in milliseconds: reading the weights. */
  readonly stepMs: number;
  /** What each running request adds to a step, in milliseconds. */
  readonly stepMsPerRequest: number;
  /** Input tokens that a step computes in a second, on top of the time above. */
  readonly prefillTokensPerSecond: number;
  /** Input tokens that one step computes at most: vLLM's `max-num-batched-tokens`. */
  readonly stepTokens: number;
  /**
   * Input tokens of one request that a step computes at most: vLLM's `long-prefill-token-threshold`, so that a long input
   * does not hold up the short ones behind it.
   */
  readonly longInputTokens: number;
  /** Requests that run at one time: vLLM's `max-num-seqs`. */
  readonly maxRequests: number;
  /** Tokens, input and output, that the KV cache holds. */
  readonly kvTokens: number;
  /** GPUs of an instance: what it costs. */
  readonly gpus: number;
}

/**
 * Llama 2 70B on four GPUs of 80 GB with tensor parallelism: least squares over the medians of SageServe's measurements
 * (Splitwise's profile; `bench/scaling/fit-profile.mjs` prints the fit). They end at 64 requests, so `maxRequests` does.
 * KV cache: 90 % of 320 GB less 140 GB of weights, at 327,680 bytes a token (80 layers, 8 KV heads of 128, fp16, K and V).
 */
const LLAMA_2_70B = {
  stepTokens: 2048,
  longInputTokens: LONG_INPUT_TOKENS,
  maxRequests: 64,
  kvTokens: 451_000,
  gpus: 4,
};

/** Profiles that come with the simulator, by name. */
export const PROFILES: Readonly<Record<string, InstanceProfile>> = {
  'llama2-70b-a100x4': {
    name: 'llama2-70b-a100x4',
    stepMs: 42.8,
    stepMsPerRequest: 0.433,
    prefillTokensPerSecond: 4425,
    ...LLAMA_2_70B,
  },
  'llama2-70b-h100x4': {
    name: 'llama2-70b-h100x4',
    stepMs: 28.4,
    stepMsPerRequest: 0.35,
    prefillTokensPerSecond: 12_262,
    ...LLAMA_2_70B,
  },
};

export const DEFAULT_PROFILE = 'llama2-70b-a100x4';

const RATES = ['stepMs', 'prefillTokensPerSecond'] as const;
const COUNTS = ['stepTokens', 'longInputTokens', 'maxRequests', 'kvTokens', 'gpus'] as const;
const FIELDS = [...RATES, 'stepMsPerRequest', ...COUNTS] as const;

/**
 * Checks a profile that a user wrote.
 *
 * @param source where it stands, for the error
 * @throws UserError that names the field, its value and what it must be
 */
export function profileFrom(document: unknown, source: string): InstanceProfile {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new UserError(`${source}: a profile must be a JSON object with the fields ${FIELDS.join(', ')}`);
  }
  const given = document as Readonly<Record<string, unknown>>;
  const unknownField = Object.keys(given).find((field) => field !== 'name' && !FIELDS.includes(field as never));
  if (unknownField !== undefined) {
    throw new UserError(`${source}: ${unknownField} is not a known field; write ${FIELDS.join(', ')}`);
  }
  const read = (field: (typeof FIELDS)[number], expected: string, holds: (value: number) => boolean): number => {
    const value = given[field];
    if (typeof value === 'number' && Number.isFinite(value) && holds(value)) return value;
    throw new UserError(`${source}: ${field} must be ${expected}, got ${JSON.stringify(value) ?? 'nothing'}`);
  };
  const rate = (field: (typeof RATES)[number]) => read(field, 'a number above 0', (value) => value > 0);
  const count = (field: (typeof COUNTS)[number]) =>
    read(
      field,
      'a whole number from 1 to 1,000,000,000',
      (value) => Number.isInteger(value) && value >= 1 && value <= 1e9,
    );
  return {
    name: typeof given.name === 'string' ? given.name : source,
    stepMs: rate('stepMs'),
    prefillTokensPerSecond: rate('prefillTokensPerSecond'),
    stepMsPerRequest: read('stepMsPerRequest', 'a number of at least 0', (value) => value >= 0),
    stepTokens: count('stepTokens'),
    longInputTokens: given.longInputTokens === undefined ? LONG_INPUT_TOKENS : count('longInputTokens'),
    maxRequests: count('maxRequests'),
    kvTokens: count('kvTokens'),
    gpus: count('gpus'),
  };
}
