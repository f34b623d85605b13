import type { FleetRating, FleetReading, Gauge } from './fleet-reading';

/** What decided a load. */
export type LoadInput = 'tokens' | 'jobs' | 'kvCache' | 'gpu';

/** Why a load differs from what the work alone would say. */
export type LoadGuard = 'gpuIdle' | 'gpuBusy' | 'kvCacheWithoutWork';

/** Older readings count as missing, in milliseconds: three rounds of the signal, and CloudWatch's delay for its gauges. */
export const OLDEST = { capacity: 60_000, tokens: 30_000, jobs: 60_000, oldestJob: 180_000, gauge: 90_000 } as const;

/** GPUs below this utilisation, in per cent, do nothing: a server that serves one request shows more. */
const IDLE_GPU = 5;

/** Of the time to drain the queue, the least that is reckoned with: late jobs ask for four times the instances, not for all. */
const LEAST_TIME_LEFT = 0.25;

/** A gauge is the mean of this long before its time: what is younger may not be in it, in milliseconds. */
const GAUGE_SPAN_MS = 10_000;

/** Within this time workers begin with a job that waits and that they can reach, in milliseconds. */
const JOB_START_MS = 60_000;

/** How many instances one input asks for; the tokens with what is kept free. */
export interface Demand {
  readonly input: LoadInput;
  readonly instances: number;
  readonly guard?: LoadGuard;
}

/** The instances of a fleet, as far as they are known. */
export interface KnownSize {
  readonly inService: number;
  /** In service and pending. */
  readonly size: number;
  /** What of it is not asked for: it goes, or stays as a part of an instance that is. */
  readonly excess: number;
}

/**
 * How many instances a reading asks for: the greatest of what the tokens in progress, the waiting jobs and the KV caches
 * ask for.
 *
 * GPU utilisation guards it. A GPU shows itself busy while it serves a single request, so it says nothing about how much
 * more it could carry; but idle GPUs refute work that is said to have been there when they were measured, and while the
 * tokens are unknown, busy ones keep their fleet from shrinking and stand in where the KV caches are unknown too.
 *
 * @param forTokens instances that the tokens ask for, and since when they have asked for more than there are, in
 *   milliseconds since 1970; undefined where they are not known
 * @returns undefined where too little is known to say anything
 */
export function greatestDemand(
  reading: FleetReading,
  rating: FleetRating,
  { inService, size }: KnownSize,
  forTokens: { readonly instances: number; readonly since: number } | undefined,
): Demand | undefined {
  const { now } = reading;
  const tokens = freshTokens(reading);
  const jobs = rating.jobsPerSecond === undefined ? undefined : fresh(reading.jobs, now, OLDEST.jobs);
  const age = fresh(reading.oldestJob, now, OLDEST.oldestJob);
  // Gauges of a fleet without instances are what those that have gone said last.
  const gpu = inService > 0 ? fresh(reading.gpu, now, OLDEST.gauge) : undefined;
  const kvCache = inService > 0 ? fresh(reading.kvCache, now, OLDEST.gauge) : undefined;

  /** What GPUs that did nothing refute: work that was there before they were measured asks for no more instances. */
  const unlessIdle = (demand: Demand, since: number): Demand => {
    const refuted = gpu !== undefined && gpu.value < IDLE_GPU && since <= gpu.at && demand.instances > size;
    return refuted ? { ...demand, instances: size, guard: 'gpuIdle' } : demand;
  };

  const demands: Demand[] = [];
  if (tokens && forTokens) {
    demands.push(unlessIdle({ input: 'tokens', instances: forTokens.instances }, forTokens.since + GAUGE_SPAN_MS));
  }
  if (jobs) {
    const instances = jobs.value === 0 ? 0 : jobs.value / (rating.jobsPerSecond! * timeLeft(age, rating));
    const since = age ? age.at - age.value * 1000 : now;
    demands.push(unlessIdle({ input: 'jobs', instances }, since + JOB_START_MS));
  }
  if (kvCache) {
    const demand: Demand = { input: 'kvCache', instances: (inService * kvCache.value) / rating.kvCacheTarget };
    const noWork = tokens?.value === 0 && (jobs?.value ?? 0) === 0;
    demands.push(
      noWork && demand.instances > size
        ? { ...demand, instances: size, guard: 'kvCacheWithoutWork' }
        : unlessIdle(demand, kvCache.at),
    );
  }
  if (gpu && !tokens) {
    if (!kvCache) demands.push({ input: 'gpu', instances: (inService * gpu.value) / rating.gpuTarget });
    else if (gpu.value >= rating.gpuTarget) demands.push({ input: 'gpu', instances: size, guard: 'gpuBusy' });
  }

  const greatest = demands.reduce<Demand | undefined>(
    (most, demand) => (most && most.instances >= demand.instances ? most : demand),
    undefined,
  );
  // Waiting jobs alone can ask for more instances; that they ask for few says nothing about the work in progress.
  const workKnown = tokens !== undefined || kvCache !== undefined || gpu !== undefined;
  if (!greatest || (!workKnown && greatest.instances <= size)) return undefined;
  return greatest;
}

/** The instances that are there or on their way; undefined where that is not known. */
export function sizeOf({ capacity, now }: FleetReading): KnownSize | undefined {
  if (!capacity) return undefined;
  const { inService, pending, excess = 0, at } = capacity;
  const size = inService + pending;
  if (!fresh({ value: size, at }, now, OLDEST.capacity) || inService < 0 || pending < 0) return undefined;
  return { inService, size, excess };
}

/** The tokens in progress; undefined where they are not known. */
export function freshTokens({ tokens, now }: FleetReading): Gauge | undefined {
  return fresh(tokens, now, OLDEST.tokens);
}

/** What was let in and turned away; undefined where it is not known. */
export function freshFlow({ flow, now }: FleetReading): FleetReading['flow'] {
  return flow && Math.abs(now - flow.at) <= OLDEST.tokens ? flow : undefined;
}

/** A gauge that is young enough and makes sense. A clock that is a little ahead does no harm. */
function fresh(gauge: Gauge | undefined, now: number, oldest: number): Gauge | undefined {
  if (!gauge || !Number.isFinite(gauge.value) || gauge.value < 0) return undefined;
  return Math.abs(now - gauge.at) <= oldest ? gauge : undefined;
}

/** Seconds within which the waiting jobs should be done, so that the oldest of them is in time. */
function timeLeft(oldestJob: Gauge | undefined, { drainSeconds }: FleetRating): number {
  return Math.max(drainSeconds - (oldestJob?.value ?? 0), drainSeconds * LEAST_TIME_LEFT);
}
