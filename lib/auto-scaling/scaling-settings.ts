import type { Duration } from 'aws-cdk-lib';
import type * as autoscaling from 'aws-cdk-lib/aws-autoscaling';

/**
 * How a fleet follows its work: what one instance can carry, and how fast the fleet shrinks. In a fleet with
 * `instanceWeights`, an instance stands here for one unit of capacity: what an instance of weight 1 carries.
 */
export interface FleetScalingSettings {
  /**
   * Tokens in progress, input and reserved output, with which one instance just keeps its promise of a time to first
   * token; at least 1. At most what its KV cache holds. With `instanceWeights` those of one unit: what an instance carries
   * over its weight, of the type that carries the least for its weight. What the fleet keeps free beyond that is the law's
   * business.
   *
   * @default 32768 - the KV cache of a model of 8B parameters on a GPU with 24 GB
   */
  readonly tokensPerInstance?: number;

  /**
   * Whether the gateway lets into the fleet no more than its instances in service carry, 92 % of `tokensPerInstance` each,
   * and sends the rest on to the model's next backend, or tells its client to come again. What is turned away is counted,
   * and the fleet grows by it. Without it model servers queue what is too much, and everyone waits: such a fleet keeps more
   * free. A `capacityTokens` of the backend takes its place.
   *
   * @default - true where `tokensPerInstance` is given: nobody is turned away by a number that was not measured
   */
  readonly boundedAdmission?: boolean;

  /**
   * Jobs of the queue that one instance, or one unit with `instanceWeights`, finishes in a second, above 0.
   *
   * @default - waiting jobs do not scale this fleet
   */
  readonly jobsPerSecond?: number;

  /**
   * Within which time of its arrival a job should be done. Goes with `jobsPerSecond`.
   *
   * @default Duration.hours(1)
   */
  readonly drainTime?: Duration;

  /**
   * Mean usage of the KV caches that counts as full load, 1 to 100 per cent: above it, servers begin to push requests
   * back.
   *
   * @default 80
   */
  readonly kvCacheTarget?: number;

  /**
   * How long the work must have needed fewer instances before one goes, 1 minute to 24 hours.
   *
   * @default - two boots, as long as the fleet's boots have taken: what goes now and is missed soon costs one
   */
  readonly scaleInAfter?: Duration;

  /**
   * The least time between two instances that go, 0 seconds to 24 hours.
   *
   * @default Duration.minutes(2)
   */
  readonly scaleInInterval?: Duration;

  /**
   * Whether the fleet keeps so many instances that the work needs no more than are left when the fullest zone is lost, but
   * for what is kept for chance. Over three zones that is half as many again; with different `instanceWeights` more, since
   * the lost zone may have had the heaviest type only.
   *
   * @default false - until others have booted, what is left is too few
   */
  readonly survivesZoneLoss?: boolean;

  /**
   * Times of the day or week for which the fleet is larger beforehand.
   *
   * @default - none
   */
  readonly peaks?: PeakHours[];

  /**
   * Whether the fleet is scaled ahead of its work by a forecast, which AWS makes of the last days, two at least.
   *
   * @default PredictiveScaling.OFF
   */
  readonly predictiveScaling?: PredictiveScaling;
}

/** A time for which a fleet is larger beforehand. */
export interface PeakHours {
  /** Name, unique within the fleet. */
  readonly name: string;

  /** When the peak begins; earlier than the load by the fleet's boot time. */
  readonly start: autoscaling.Schedule;

  /** When it ends: then the fleet's own least number of instances holds again. */
  readonly end: autoscaling.Schedule;

  /** The least number of instances, or of units with `instanceWeights`, in between: from the fleet's `minCapacity` to its `maxCapacity`. */
  readonly minCapacity: number;

  /**
   * Time zone of both schedules, such as `Europe/Berlin`.
   *
   * @default - UTC
   */
  readonly timeZone?: string;
}

/** What is done with AWS's forecast of a fleet's work. */
export enum PredictiveScaling {
  /** None is made. */
  OFF = 'off',
  /** It is made and can be compared with what came, and scales nothing. */
  FORECAST_ONLY = 'ForecastOnly',
  /** Instances are launched ahead of it, by the fleet's boot time; the work itself still scales out beyond it. */
  FORECAST_AND_SCALE = 'ForecastAndScale',
}
