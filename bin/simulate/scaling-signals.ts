import { type FleetMemory, followLoad } from '../../lambda/auto-scaling/fleet-load';
import type { FleetRating, Flow } from '../../lambda/auto-scaling/fleet-reading';
import type { Datapoint } from './target-tracking';

/** A fleet as its metrics show it. */
export interface FleetSample {
  /** Seconds from the start of the run. */
  readonly now: number;
  readonly inService: number;
  /** Launched, and not in service yet. */
  readonly pending: number;
  /** Input and reserved output of all requests in progress. */
  readonly tokensInProgress: number;
  readonly requestsInProgress: number;
  /** Tokens that were let in and turned away since the start; undefined where admission is not bounded. */
  readonly flow?: Flow;
  /** Requests in the model servers' own queues. */
  readonly waiting: number;
  /** Share of the last period in which the GPUs in service computed, 0 to 100 per cent, on average. */
  readonly gpuUtilization: number;
  /** Use of the KV caches in service, 0 to 100 per cent, on average. */
  readonly kvCacheUsage: number;
}

/** What a fleet follows. */
export type ScalingSignal = (sample: FleetSample) => Datapoint;

/** Names of the signals, as the command line takes them; `static` follows nothing. */
export const SIGNALS = ['fleet-load', 'gpu-utilization', 'messages-per-instance', 'concurrency', 'static'] as const;
export type SignalName = (typeof SIGNALS)[number];

/** The scaling signal's own control law: the load of the fleet in per cent of what it should carry. */
export function fleetLoadSignal(rating: FleetRating): ScalingSignal {
  let remembered: FleetMemory = {};
  return (sample) => {
    const at = sample.now * 1000;
    const gauge = (value: number) => ({ value, at });
    const { load, memory } = followLoad(
      {
        now: at,
        capacity: { inService: sample.inService, pending: sample.pending, at },
        tokens: gauge(sample.tokensInProgress),
        ...(sample.flow && { flow: { ...sample.flow, at } }),
        gpu: gauge(sample.gpuUtilization),
        kvCache: gauge(sample.kvCacheUsage),
      },
      rating,
      remembered,
    );
    remembered = memory;
    return { value: load?.load, capacity: sample.inService + sample.pending };
  };
}

/** Metrics that others scale on, each a mean over the instances in service. */
export const PEER_SIGNALS: Readonly<Record<Exclude<SignalName, 'fleet-load' | 'static'>, ScalingSignal>> = {
  'gpu-utilization': (sample) => overInService(sample, sample.gpuUtilization * sample.inService),
  'messages-per-instance': (sample) => overInService(sample, sample.waiting),
  concurrency: (sample) => overInService(sample, sample.requestsInProgress),
};

function overInService({ inService }: FleetSample, sum: number): Datapoint {
  return { value: inService > 0 ? sum / inService : undefined, capacity: inService };
}
