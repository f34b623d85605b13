import { resolvePolicy, type ResolvedBackend, type ResolvedPolicy } from '../../lib/policy/defaults';
import { type InferencePolicy, ModelKind } from '../../lib/policy';
import { chainOf } from '../../lambda/load-balancing/chain';
import { isFleet } from '../../lib/policy/fleet-backends';
import { FULL_LOAD, ratedTokens, SCALING_DEFAULTS } from '../../lib/policy/scaling-defaults';
import type { Overload } from '../../lambda/auto-scaling/fleet-reading';
import { UserError } from '../user-error';
import type { BalancerName } from './balancers';
import type { FleetPlan, FleetTracking } from './fleet';
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
  /** Requests at one time of a target of `bounded-concurrency`. @default - `maxRequests` of the first profile */
  readonly maxConcurrency?: number;
  readonly signal: SignalName;
  /** Value that a signal other than `fleet-load` is held at. @default - `FOLLOWING` of the signal */
  readonly target?: number;
  /** Distance of its datapoints. @default - as `FleetScaling` does, or `FOLLOWING` of the signal */
  readonly periodSeconds?: number;
  /** How long less must have done before an instance goes. @default - as `FleetScaling` does, or `FOLLOWING` */
  readonly scaleInSeconds?: number;
  readonly scaleInIntervalSeconds?: number;
  /** Whether `fleet-load` keeps so many instances that one zone may be lost. @default false */
  readonly survivesZoneLoss?: boolean;
  /** Whether the gateway lets into a fleet that follows `fleet-load` no more than its instances carry. @default true */
  readonly boundedAdmission?: boolean;
  /** Tokens in progress that an instance can carry. @default - `ratedTokens` of the first profile */
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

/** How the signals of others are followed where nothing else is said. */
export const FOLLOWING: Readonly<Record<Exclude<SignalName, 'static' | 'fleet-load'>, Following>> = {
  'gpu-utilization': { target: 70, ...STANDARD },
  'messages-per-instance': { target: 1, ...STANDARD },
  concurrency: { target: 30, ...STANDARD },
};

/** Alarms of target tracking: three datapoints out, and once a minute again. */
const SCALE_OUT_AFTER = 3;
const SCALE_OUT_SECONDS = 60;

/** How far below its target AWS's own alarm for the way in stands. */
const SCALE_IN_BELOW = 0.9;

/** How one fleet is made from the options. */
export function fleetPlan(name: string, options: FleetOptions): FleetPlan {
  const { signal } = options;
  const maxConcurrency = options.maxConcurrency ?? options.profiles[0]!.maxRequests;
  const bounded = signal === 'fleet-load' && options.boundedAdmission !== false;
  const plan: FleetPlan = {
    name,
    profiles: options.profiles,
    minCapacity: options.minCapacity,
    maxCapacity: options.maxCapacity,
    initialCapacity: options.initialCapacity,
    bootSeconds: options.bootSeconds,
    zones: options.zones,
    drainSeconds: 300,
    balancing: { name: options.balancing, maxConcurrency },
    ...(bounded && { boundedByTokens: ratingOf(options) }),
  };
  if (signal === 'static') return plan;
  return { ...plan, scaling: signal === 'fleet-load' ? byFleetLoad(options) : bySignalOfOthers(signal, options) };
}

/** As `FleetScaling` deploys it: the law decides, target tracking and the policy that takes one away carry it out. */
function byFleetLoad(options: FleetOptions): FleetTracking {
  if (options.target !== undefined) {
    throw new UserError('--target is for other signals: fleet-load is held at 100, and --tokens-per-instance rates it');
  }
  const {
    periodSeconds = SCALING_DEFAULTS.periodSeconds,
    scaleInIntervalSeconds = SCALING_DEFAULTS.scaleInIntervalSeconds,
  } = options;
  const rating = {
    ...SCALING_DEFAULTS,
    tokensPerInstance: ratingOf(options),
    overload: overloadOf(options),
    ...(options.survivesZoneLoss && { zones: options.zones }),
    ...(options.scaleInSeconds !== undefined && { holdSeconds: options.scaleInSeconds }),
  };
  return {
    signal: () => fleetLoadSignal(rating),
    periodSeconds,
    tracking: {
      target: FULL_LOAD,
      scaleOutAfter: SCALE_OUT_AFTER,
      scaleOutEvery: datapoints(SCALE_OUT_SECONDS, periodSeconds),
      scaleInAfter: datapoints(SCALING_DEFAULTS.releaseAfterSeconds, periodSeconds),
      scaleInEvery: datapoints(scaleInIntervalSeconds, periodSeconds),
      scaleInBelow: 1,
      scaleInOn: 'metricWithoutOne',
    },
  };
}

function ratingOf({ tokensPerInstance, profiles }: FleetOptions): number {
  return tokensPerInstance ?? ratedTokens(profiles[0]!);
}

function overloadOf({ boundedAdmission, balancing }: FleetOptions): Overload {
  if (boundedAdmission !== false) return 'turnsAway';
  return balancing === 'bounded-concurrency' ? 'refuses' : 'queues';
}

function bySignalOfOthers(name: keyof typeof FOLLOWING, options: FleetOptions): FleetTracking {
  const standard = FOLLOWING[name];
  const {
    target = standard.target,
    periodSeconds = standard.periodSeconds,
    scaleInSeconds = standard.scaleInSeconds,
    scaleInIntervalSeconds = standard.scaleInIntervalSeconds,
  } = options;
  return {
    signal: () => PEER_SIGNALS[name],
    periodSeconds,
    tracking: {
      target,
      scaleOutAfter: SCALE_OUT_AFTER,
      scaleOutEvery: datapoints(SCALE_OUT_SECONDS, periodSeconds),
      scaleInAfter: datapoints(scaleInSeconds, periodSeconds),
      scaleInEvery: datapoints(scaleInIntervalSeconds, periodSeconds),
      scaleInBelow: SCALE_IN_BELOW,
      scaleInOn: 'metric',
    },
  };
}

function datapoints(seconds: number, periodSeconds: number): number {
  return Math.ceil(seconds / periodSeconds);
}

/** A backend that the platform does not run is taken to be quick and without limits: what it costs is not the fleet's. */
const OUTSIDE_SERVICE = { firstTokenSeconds: 0.5, secondsPerToken: 0.02 };

/** The chain of one model as a run needs it. */
export interface ModelPlan {
  readonly model: string;
  readonly backends: readonly BackendPlan[];
  readonly expectedOutputTokens: number;
  /** Whether it gives vectors, and no tokens. */
  readonly embeds: boolean;
}

/**
 * Reads the chain of a model out of a valid policy: fleets are simulated with the given options, other backends are
 * services that answer at once.
 *
 * @param name @default - the first model of the policy
 * @throws UserError where the policy has no such model, or its backends serve no tokens
 */
export function modelPlan(policy: InferencePolicy, name: string | undefined, options: FleetOptions): ModelPlan {
  const resolved: ResolvedPolicy = resolvePolicy(policy);
  const model = name === undefined ? resolved.models[0] : resolved.models.find((candidate) => candidate.name === name);
  if (!model) {
    const names = resolved.models.map((candidate) => candidate.name).join(', ');
    throw new UserError(`the policy has no model ${name ?? ''}; it has ${names}`);
  }
  if (model.kind === ModelKind.SERVICE) {
    throw new UserError(
      `the model ${model.name} is a service, of whose requests nothing is known: simulate another one`,
    );
  }
  const embeds = model.kind === ModelKind.EMBEDDING;
  return {
    model: model.name,
    embeds,
    expectedOutputTokens: embeds ? 0 : model.expectedOutputTokens,
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
