import type { FleetRating } from './fleet-reading';

/** A fleet that the scaling signal reads and publishes for; the construct writes these into the environment. */
export interface ScaledFleet {
  /** Name of the backend in the policy, by which the store counts its tokens. */
  readonly backend: string;
  /** Name of the Auto Scaling group. */
  readonly group: string;
  readonly rating: FleetRating;
  readonly gpu: MetricSource;
  readonly kvCache?: MetricSource;
}

/** A metric of CloudWatch. */
export interface MetricSource {
  readonly namespace: string;
  readonly metric: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly statistic: string;
  readonly periodSeconds: number;
  /** What its values are multiplied with, such as 100 for shares that are wanted in per cent. */
  readonly factor?: number;
}

/** One datapoint that the signal publishes. */
export interface LoadMetric {
  readonly name: 'FleetLoad' | 'FleetLoadWithoutOne' | 'FleetDemand';
  readonly dimensions: { readonly Group: string };
  readonly value: number;
  readonly unit: 'Percent' | 'Count';
  /** Milliseconds since 1970. */
  readonly at: number;
}
