/**
 * The law by which a fleet follows its work: how many instances the work asks for, as a share of those that the fleet
 * has. No AWS, no clock: the scaling signal publishes what it returns, and the simulator replays traces against it.
 */

/** A number and when it was true. */
export interface Gauge {
  readonly value: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What is known of a fleet at one moment. What could not be read is left out. */
export interface FleetReading {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The instances of the fleet. */
  readonly capacity?: FleetCapacity;
  /** Tokens in progress, input and reserved output: of all that was admitted and has not ended, wherever it waits. */
  readonly tokens?: Gauge;
  /** Jobs that wait in the queue, without those that workers hold: their tokens are in progress. */
  readonly jobs?: Gauge;
  /** Age of the oldest waiting job, in seconds. */
  readonly oldestJob?: Gauge;
  /** Mean utilisation of the GPUs in service, 0 to 100 per cent. */
  readonly gpu?: Gauge;
  /** Mean usage of the KV caches in service, 0 to 100 per cent. */
  readonly kvCache?: Gauge;
}

/** The instances of a fleet. */
export interface FleetCapacity {
  readonly inService: number;
  /** Asked for and not in service yet: they boot, or AWS has none to give at the moment. */
  readonly pending: number;
  readonly at: number;
}

/** What one instance should carry; what it could carry beyond that bridges the boot of the next one. */
export interface FleetRating {
  /** Tokens in progress. */
  readonly tokensPerInstance: number;
  /** Jobs that an instance finishes in a second; without it, waiting jobs are not counted. */
  readonly jobsPerSecond?: number;
  /** Within how many seconds of its arrival a job should be done. */
  readonly drainSeconds: number;
  /** KV-cache usage, in per cent. */
  readonly kvCacheTarget: number;
  /** GPU utilisation, in per cent, where no better measure of the work is known. */
  readonly gpuTarget: number;
}

/** What decided a load. */
export type LoadInput = 'tokens' | 'jobs' | 'kvCache' | 'gpu';

/** Why a load differs from what the work alone would say. */
export type LoadGuard = 'gpuIdle' | 'gpuBusy' | 'kvCacheWithoutWork';

/** The load of a fleet. */
export interface FleetLoad {
  /** Per cent of what the fleet should carry, pending instances included, 0 to `MOST_LOAD`. At 100 its size is right. */
  readonly load: number;
  /** The same for a fleet with one instance less: while it is well below 100, one can go. */
  readonly loadWithoutOne: number;
  /** Instances that the work asks for, 0 to `MOST_INSTANCES`; does not depend on how many there are. */
  readonly instances: number;
  readonly decidedBy: LoadInput;
  readonly guard?: LoadGuard;
}

/** The most that is reported: target tracking multiplies a fleet by its load, and tenfold is a wrong reading. */
export const MOST_LOAD = 1000;

/** Beyond what Auto Scaling lets a group have. */
export const MOST_INSTANCES = 10_000;

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

/** How many instances one input asks for. */
interface Demand {
  readonly input: LoadInput;
  readonly instances: number;
  readonly guard?: LoadGuard;
}

/**
 * The load of a fleet: the greatest of what the tokens in progress, the waiting jobs and the KV caches ask for, over
 * the instances in service and pending. Pending ones count in full: then the load is 100 as soon as the right number
 * was asked for, and target tracking does not ask again while they boot.
 *
 * GPU utilisation guards it. A GPU shows itself busy while it serves a single request, so it says nothing about how much
 * more it could carry; but idle GPUs refute work that is said to have been there when they were measured, and while the
 * tokens are unknown, busy ones keep their fleet from shrinking and stand in where the KV caches are unknown too.
 *
 * @returns undefined where too little is known to say anything: then nothing is published, and the policy on GPU
 *   utilisation takes over
 */
export function fleetLoad(reading: FleetReading, rating: FleetRating): FleetLoad | undefined {
  const { now } = reading;
  const capacity = capacityOf(reading);
  if (!capacity) return undefined;
  const { inService, size } = capacity;

  const tokens = fresh(reading.tokens, now, OLDEST.tokens);
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
  if (tokens) {
    const demand: Demand = { input: 'tokens', instances: tokens.value / rating.tokensPerInstance };
    demands.push(unlessIdle(demand, tokens.at + GAUGE_SPAN_MS));
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
  return loadOf(greatest, size);
}

/** The instances that are there or on their way; undefined where that is not known. */
function capacityOf({
  capacity,
  now,
}: FleetReading): { readonly inService: number; readonly size: number } | undefined {
  if (!capacity) return undefined;
  const { inService, pending, at } = capacity;
  const size = inService + pending;
  if (!fresh({ value: size, at }, now, OLDEST.capacity) || inService < 0 || pending < 0) return undefined;
  return { inService, size };
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

function loadOf({ input, instances, guard }: Demand, size: number): FleetLoad {
  return {
    load: share(instances, size),
    loadWithoutOne: share(instances, Math.max(0, size - 1)),
    instances: Math.min(MOST_INSTANCES, instances),
    decidedBy: input,
    ...(guard && { guard }),
  };
}

/** Work for no instance is no load; work without any instance is the most. */
function share(instances: number, size: number): number {
  if (instances === 0) return 0;
  return size === 0 ? MOST_LOAD : Math.min(MOST_LOAD, (100 * instances) / size);
}
