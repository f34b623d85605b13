/** How a group follows a metric. All counts are of datapoints. */
export interface TrackingSettings {
  /** Value that the metric is held at. */
  readonly target: number;
  /** So many in a row above the target before capacity is added. */
  readonly scaleOutAfter: number;
  /** The least between two additions: what an alarm that stays on waits until it acts again. */
  readonly scaleOutEvery: number;
  /** So many in a row below `scaleInBelow` × target before capacity is taken away, and the least between two times. */
  readonly scaleInAfter: number;
  readonly scaleInEvery: number;
  readonly scaleInBelow: number;
  /** What must be below: the metric as it is, or as it would be with one instance less. */
  readonly scaleInOn: 'metric' | 'metricWithoutOne';
}

/** A datapoint of a metric that stands for the load of each unit of capacity. */
export interface Datapoint {
  /** Undefined where there is none: nothing is done for want of data. */
  readonly value: number | undefined;
  /** The capacity that the value was divided by. */
  readonly capacity: number;
}

/**
 * Target tracking as EC2 Auto Scaling does it. Out: at once, to the capacity at which the metric would be at its target;
 * what is booting counts as capacity that is there, so that one shortage is not answered twice. In: one instance at a
 * time, after a long time below, and never to where the metric would be above the target again.
 */
export class TargetTracking {
  private above = 0;
  private below = 0;
  private sinceOut = Infinity;
  private sinceIn = Infinity;

  constructor(private readonly settings: TrackingSettings) {}

  /** Takes a datapoint. @returns the capacity that is wanted now */
  public follow({ value, capacity }: Datapoint, desired: number): number {
    const { target, scaleOutAfter, scaleOutEvery, scaleInAfter, scaleInEvery, scaleInBelow, scaleInOn } = this.settings;
    this.sinceOut += 1;
    this.sinceIn += 1;
    if (value === undefined) {
      this.above = 0;
      this.below = 0;
      return desired;
    }
    const work = capacity * value;
    const watched = scaleInOn === 'metric' ? value : work / Math.max(0, capacity - 1);
    this.above = value > target ? this.above + 1 : 0;
    this.below = watched < scaleInBelow * target ? this.below + 1 : 0;
    // Without the hair's breadth, a metric at its target would ask for one more by rounding.
    const needed = Math.ceil(work / target - 1e-9);
    if (this.above >= scaleOutAfter && this.sinceOut >= scaleOutEvery && needed > desired) {
      this.sinceOut = 0;
      return needed;
    }
    if (this.below >= scaleInAfter && this.sinceIn >= scaleInEvery && needed < desired) {
      this.sinceIn = 0;
      return desired - 1;
    }
    return desired;
  }
}
