/** How a group follows a metric. */
export interface TrackingSettings {
  /** Value that the metric is held at. */
  readonly target: number;
  /** Datapoints in a row above the target before capacity is added. */
  readonly scaleOutAfter: number;
  /** Datapoints in a row below `scaleInBelow` × target before capacity is taken away. */
  readonly scaleInAfter: number;
  readonly scaleInBelow: number;
  /** Least time between two additions, in datapoints: what an alarm that stays on waits until it acts again. */
  readonly repeatAfter: number;
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

  constructor(private readonly settings: TrackingSettings) {}

  /** Takes a datapoint. @returns the capacity that is wanted now */
  public follow({ value, capacity }: Datapoint, desired: number): number {
    const { target, scaleOutAfter, scaleInAfter, scaleInBelow, repeatAfter } = this.settings;
    this.sinceOut += 1;
    this.above = value !== undefined && value > target ? this.above + 1 : 0;
    this.below = value !== undefined && value < scaleInBelow * target ? this.below + 1 : 0;
    if (value === undefined) return desired;
    const needed = Math.ceil((capacity * value) / target - 1e-9);
    if (this.above >= scaleOutAfter && this.sinceOut >= repeatAfter && needed > desired) {
      this.sinceOut = 0;
      return needed;
    }
    if (this.below >= scaleInAfter && needed < desired) {
      this.below = 0;
      return desired - 1;
    }
    return desired;
  }
}
