import type { FleetPlan } from '../../../bin/simulate/fleet';
import { type FleetOptions, fleetPlan } from '../../../bin/simulate/scenario';
import { DEFAULT_PROFILE, PROFILES } from '../../../bin/simulate/instance-profile';
import type { Scenario } from '../../../bin/simulate/simulation';
import { seededRandom } from '../../../bin/simulate/random';
import { syntheticLengths } from '../../../bin/simulate/synthetic-load';
import { requestsFrom } from '../../../bin/simulate/envelope';
import type { Trace } from '../../../bin/simulate/trace';

export const profile = PROFILES[DEFAULT_PROFILE]!;

/** Random arrivals at the given rates, one after another for as long each. */
export function load(rates: readonly number[], windowSeconds: number, seed = 1): Trace {
  const envelope = { source: 'test', rates: Float64Array.from(rates), windowSeconds };
  return requestsFrom(envelope, syntheticLengths(seededRandom(seed, 1)), seededRandom(seed, 2));
}

/** Requests written out: arrival, input tokens, output tokens. */
export function traceOf(...requests: readonly (readonly [number, number, number])[]): Trace {
  return {
    source: 'test',
    arrivals: Float64Array.from(requests, ([at]) => at),
    inputTokens: Int32Array.from(requests, ([, input]) => input),
    outputTokens: Int32Array.from(requests, ([, , output]) => output),
    duration: requests.at(-1)![0],
  };
}

export function fleet(options: Partial<FleetOptions> = {}): FleetPlan {
  return fleetPlan('fleet', {
    profiles: [profile],
    minCapacity: 3,
    maxCapacity: 40,
    initialCapacity: options.minCapacity ?? 3,
    bootSeconds: 120,
    zones: 3,
    balancing: 'least-outstanding-requests',
    maxConcurrency: 64,
    signal: 'static',
    ...options,
  });
}

/** A run of one fleet, of which all but the trace has defaults. */
export function scenario(trace: Trace, plan: FleetPlan = fleet(), more: Partial<Scenario> = {}): Scenario {
  const backend = { name: 'fleet', share: 0, firstTokenSeconds: 10, retries: { max: 1, budgetRatio: 0.1 } };
  return {
    trace,
    seed: 1,
    sampleSeconds: 10,
    expectedOutputTokens: 256,
    backends: [{ ...backend, serves: plan }],
    ...more,
  };
}
