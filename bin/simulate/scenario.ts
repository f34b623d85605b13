import { resolvePolicy, type ResolvedBackend, type ResolvedPolicy } from '../../lib/policy/defaults';
import type { InferencePolicy } from '../../lib/policy';
import { chainOf } from '../../lambda/load-balancing/chain';
import { isFleet } from '../../lib/policy/fleet-backends';
import { UserError } from '../user-error';
import type { BalancerName } from './balancers';
import type { FleetPlan } from './fleet';
import type { InstanceProfile } from './instance-profile';
import { fleetLoadSignal, PEER_SIGNALS, type SignalName } from './scaling-signals';
import type { BackendPlan } from './simulation';

/** How the fleets of a policy are built and followed. */
export interface FleetOptions {
  readonly profiles: readonly InstanceProfile[];
  readonly minCapacity: number;
  readonly maxCapacity: number;
  readonly initialCapacity: number;
  readonly bootSeconds: number;
  readonly zones: number;
  readonly balancing: BalancerName;
  /** Requests at one time of a target of `bounded-concurrency`. */
  readonly maxConcurrency: number;
  readonly signal: SignalName;
  /** Value that the signal is held at. */
  readonly target: number;
  /** Distance of the signal's datapoints. */
  readonly periodSeconds: number;
  /** How long the signal is below before an instance is taken out. */
  readonly scaleInSeconds: number;
  /** Tokens in progress that an instance should carry. @default - `ratedTokens` of the first profile */
  readonly tokensPerInstance?: number;
}

/** Targets of the signals, where none is given. */
export const DEFAULT_TARGET: Readonly<Record<SignalName, number>> = {
  'fleet-load': 100,
  'gpu-utilization': 70,
  'messages-per-instance': 1,
  concurrency: 30,
  static: 100,
};

/** The share of what an instance can hold that it should carry: the rest bridges the boot of the next one. */
const RATED_SHARE = 0.5;

/** Input and reserved output of a request: the mean input of Azure's chat trace of 2023, and the policy's default. */
const TYPICAL_TOKENS = 1155 + 256;

/** Tokens in progress that an instance should carry: half of what its cache, or its places for requests, hold. */
export function ratedTokens({ kvTokens, maxRequests }: InstanceProfile): number {
  return Math.round(RATED_SHARE * Math.min(kvTokens, maxRequests * TYPICAL_TOKENS));
}

/** What the scaling signal goes by besides tokens; the trace has no jobs. */
const RATING = { drainSeconds: 300, kvCacheTarget: 80, gpuTarget: 70 };

/** Alarms of target tracking: three datapoints out, and once a minute again. */
const SCALE_OUT_AFTER = 3;
const REPEAT_SECONDS = 60;
const SCALE_IN_BELOW = 0.9;

/** How one fleet is made from the options. */
export function fleetPlan(name: string, options: FleetOptions): FleetPlan {
  const { signal, periodSeconds } = options;
  const tokensPerInstance = options.tokensPerInstance ?? ratedTokens(options.profiles[0]!);
  const plan: FleetPlan = {
    name,
    profiles: options.profiles,
    minCapacity: options.minCapacity,
    maxCapacity: options.maxCapacity,
    initialCapacity: options.initialCapacity,
    bootSeconds: options.bootSeconds,
    zones: options.zones,
    drainSeconds: 300,
    balancing: { name: options.balancing, maxConcurrency: options.maxConcurrency },
  };
  if (signal === 'static') return plan;
  return {
    ...plan,
    scaling: {
      signal: signal === 'fleet-load' ? fleetLoadSignal({ ...RATING, tokensPerInstance }) : PEER_SIGNALS[signal],
      periodSeconds,
      tracking: {
        target: options.target,
        scaleOutAfter: SCALE_OUT_AFTER,
        scaleInAfter: Math.ceil(options.scaleInSeconds / periodSeconds),
        scaleInBelow: SCALE_IN_BELOW,
        repeatAfter: Math.ceil(REPEAT_SECONDS / periodSeconds),
      },
    },
  };
}

/** A backend that the platform does not run is taken to be quick and without limits: what it costs is not the fleet's. */
const OUTSIDE_SERVICE = { firstTokenSeconds: 0.5, secondsPerToken: 0.02 };

/** The chain of one model as a run needs it. */
export interface ModelPlan {
  readonly model: string;
  readonly backends: readonly BackendPlan[];
  readonly expectedOutputTokens: number;
}

/**
 * Reads the chain of a model out of a valid policy: fleets are simulated with the given options, other backends are
 * services that answer at once.
 *
 * @param name @default - the first model of the policy
 * @throws UserError where the policy has no such model
 */
export function modelPlan(policy: InferencePolicy, name: string | undefined, options: FleetOptions): ModelPlan {
  const resolved: ResolvedPolicy = resolvePolicy(policy);
  const model = name === undefined ? resolved.models[0] : resolved.models.find((candidate) => candidate.name === name);
  if (!model) {
    const names = resolved.models.map((candidate) => candidate.name).join(', ');
    throw new UserError(`the policy has no model ${name ?? ''}; it has ${names}`);
  }
  return {
    model: model.name,
    expectedOutputTokens: model.expectedOutputTokens,
    backends: chainOf(model, resolved.backends).map(({ backend, share }) => backendPlan(backend, share, options)),
  };
}

function backendPlan(backend: ResolvedBackend, share: number, options: FleetOptions): BackendPlan {
  return {
    name: backend.name,
    share,
    firstTokenSeconds: backend.timeouts.firstTokenMs / 1000,
    retries: backend.retries,
    ...(backend.capacityTokens !== undefined && { capacityTokens: backend.capacityTokens }),
    serves: isFleet(backend) ? fleetPlan(backend.name, options) : OUTSIDE_SERVICE,
  };
}
