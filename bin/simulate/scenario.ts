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
  /** How it is followed. @default - `FOLLOWING` of the signal */
  readonly target?: number;
  readonly periodSeconds?: number;
  readonly scaleInSeconds?: number;
  readonly scaleInIntervalSeconds?: number;
  /** Tokens in progress that an instance should carry. @default - `ratedTokens` of the first profile */
  readonly tokensPerInstance?: number;
}

/** How a signal is followed. */
interface Following {
  /** Value that it is held at. */
  readonly target: number;
  /** Distance of its datapoints. */
  readonly periodSeconds: number;
  /** How long it is low before an instance is taken out, and the least time from one to the next. */
  readonly scaleInSeconds: number;
  readonly scaleInIntervalSeconds: number;
}

/** AWS's own alarms of target tracking, of standard metrics: a quarter of an hour below, then each minute. */
const STANDARD = { periodSeconds: 60, scaleInSeconds: 900, scaleInIntervalSeconds: 60 };

/** How each signal is followed where nothing else is said: `fleet-load` by the defaults of `FleetScaling`. */
export const FOLLOWING: Readonly<Record<Exclude<SignalName, 'static'>, Following>> = {
  'fleet-load': { target: 100, periodSeconds: 10, scaleInSeconds: 600, scaleInIntervalSeconds: 300 },
  'gpu-utilization': { target: 70, ...STANDARD },
  'messages-per-instance': { target: 1, ...STANDARD },
  concurrency: { target: 30, ...STANDARD },
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
const SCALE_OUT_SECONDS = 60;
const SCALE_IN_BELOW = 0.9;

/** How one fleet is made from the options. */
export function fleetPlan(name: string, options: FleetOptions): FleetPlan {
  const { signal } = options;
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
  const standard = FOLLOWING[signal];
  const {
    target = standard.target,
    periodSeconds = standard.periodSeconds,
    scaleInSeconds = standard.scaleInSeconds,
    scaleInIntervalSeconds = standard.scaleInIntervalSeconds,
  } = options;
  const datapoints = (seconds: number) => Math.ceil(seconds / periodSeconds);
  return {
    ...plan,
    scaling: {
      signal: signal === 'fleet-load' ? fleetLoadSignal({ ...RATING, tokensPerInstance }) : PEER_SIGNALS[signal],
      periodSeconds,
      tracking: {
        target,
        scaleOutAfter: SCALE_OUT_AFTER,
        scaleOutEvery: datapoints(SCALE_OUT_SECONDS),
        scaleInAfter: datapoints(scaleInSeconds),
        scaleInEvery: datapoints(scaleInIntervalSeconds),
        scaleInBelow: SCALE_IN_BELOW,
        scaleInOn: signal === 'fleet-load' ? 'metricWithoutOne' : 'metric',
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
