/** What the law of `fleet-load.ts` goes by: what is known of a fleet, and what an instance of it can carry. */

import type { InstanceUnits } from '../../lib/policy/instance-units';

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
  /** What was let in and turned away for lack of room, in tokens; of a fleet with bounded admission. */
  readonly flow?: Flow & { readonly at: number };
  /** Jobs that wait in the queue, without those that workers hold: their tokens are in progress. */
  readonly jobs?: Gauge;
  /** Age of the oldest waiting job, in seconds. */
  readonly oldestJob?: Gauge;
  /** Mean utilisation of the GPUs in service, 0 to 100 per cent. */
  readonly gpu?: Gauge;
  /** Mean usage of the KV caches in service, 0 to 100 per cent. */
  readonly kvCache?: Gauge;
}

/** Sums of tokens that a fleet let in and turned away, since some time; they begin anew where the store forgot them. */
export interface Flow {
  readonly letIn: number;
  readonly turnedAway: number;
}

/** The instances of a fleet; of one with weights, the units of its capacity, here and wherever the law says instances. */
export interface FleetCapacity {
  readonly inService: number;
  /** Asked for and not in service yet: they boot, or AWS has none to give at the moment. */
  readonly pending: number;
  /** In service and not asked for, such as what a large instance has beyond what was missing. @default 0 */
  readonly excess?: number;
  readonly at: number;
}

/**
 * What becomes of requests that come to a full fleet: its servers queue them; each of its servers refuses them; or the
 * gateway lets no more in than the fleet has room for, and counts what it turns away.
 */
export type Overload = 'queues' | 'refuses' | 'turnsAway';

/** What one instance, or one unit of a fleet with weights, can carry, and how the fleet keeps room. */
export interface FleetRating {
  /** Tokens in progress with which an instance just keeps its promise of a time to first token. */
  readonly tokensPerInstance: number;
  /** Jobs that an instance finishes in a second; without it, waiting jobs are not counted. */
  readonly jobsPerSecond?: number;
  /** Within how many seconds of its arrival a job should be done. */
  readonly drainSeconds: number;
  /** KV-cache usage, in per cent. */
  readonly kvCacheTarget: number;
  /** GPU utilisation, in per cent, where no better measure of the work is known. */
  readonly gpuTarget: number;
  /** What becomes of requests that come to a full fleet. @default 'queues' */
  readonly overload?: Overload;
  /** Zones of which any one may be lost without a loss of what the work needs. @default - none is reckoned with */
  readonly zones?: number;
  /** How long the work must have needed fewer instances before one goes, in seconds. @default - two boots */
  readonly holdSeconds?: number;
  /** What instances count for in a fleet with weights. @default - one each */
  readonly units?: InstanceUnits;
}
