import type { Gauge } from '../auto-scaling/fleet-load';
import type { LoadMetric, MetricSource } from '../auto-scaling/scaled-fleet';
import { type AwsService, callJson } from './aws-service';

/** Beyond every age that counts, and so few datapoints that one page holds those of hundreds of metrics. */
const LOOK_BACK_MS = 300_000;

const API = 'GraniteServiceVersion20100801';

/** CloudWatch's limit for one call of PutMetricData is 1000: three for each of ten fleets stay far below. */
const HIGH_RESOLUTION_SECONDS = 1;

interface MetricDataAnswer {
  readonly MetricDataResults?: readonly {
    readonly Id: string;
    /** Seconds since 1970. */
    readonly Timestamps?: readonly number[];
    readonly Values?: readonly number[];
  }[];
}

/**
 * Reads the newest datapoint of metrics, in one call.
 *
 * @param now milliseconds since 1970
 * @returns a gauge for each metric, undefined where it has no recent datapoint
 */
export async function newestOf(
  service: AwsService,
  metrics: readonly MetricSource[],
  now: number,
): Promise<(Gauge | undefined)[]> {
  if (metrics.length === 0) return [];
  const answer = (await callJson(service, `${API}.GetMetricData`, {
    MetricDataQueries: metrics.map((metric, i) => ({
      Id: `m${i}`,
      MetricStat: {
        Metric: {
          Namespace: metric.namespace,
          MetricName: metric.metric,
          Dimensions: Object.entries(metric.dimensions).map(([Name, Value]) => ({ Name, Value })),
        },
        Period: metric.periodSeconds,
        Stat: metric.statistic,
      },
      ReturnData: true,
    })),
    StartTime: Math.floor((now - LOOK_BACK_MS) / 1000),
    EndTime: Math.ceil(now / 1000),
    ScanBy: 'TimestampDescending',
  })) as MetricDataAnswer;
  return metrics.map((metric, i) => {
    const result = answer.MetricDataResults?.find(({ Id }) => Id === `m${i}`);
    const [value, start] = [result?.Values?.[0], result?.Timestamps?.[0]];
    if (value === undefined || start === undefined) return undefined;
    // A datapoint bears the beginning of its period; the newest one may not be over.
    return { value: value * (metric.factor ?? 1), at: Math.min(now, (start + metric.periodSeconds) * 1000) };
  });
}

/** Publishes loads, in high resolution. */
export async function publish(service: AwsService, namespace: string, metrics: readonly LoadMetric[]): Promise<void> {
  if (metrics.length === 0) return;
  await callJson(service, `${API}.PutMetricData`, {
    Namespace: namespace,
    MetricData: metrics.map(({ name, dimensions, value, unit, at }) => ({
      MetricName: name,
      Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
      Timestamp: Math.floor(at / 1000),
      Value: value,
      Unit: unit,
      StorageResolution: HIGH_RESOLUTION_SECONDS,
    })),
  });
}
