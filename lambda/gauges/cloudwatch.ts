import { CloudWatchClient, GetMetricDataCommand, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import type { Gauge } from '../auto-scaling/fleet-reading';
import type { LoadMetric, MetricSource } from '../auto-scaling/scaled-fleet';

/** Beyond every age that counts, and so few datapoints that one page holds those of hundreds of metrics. */
const LOOK_BACK_MS = 300_000;

/** CloudWatch's limit for one call of PutMetricData is 1000: three for each of ten fleets stay far below. */
const HIGH_RESOLUTION_SECONDS = 1;

/** A client that tries once: the next round comes in ten seconds, with newer readings. */
export function cloudWatchClient(timeoutMs: number): CloudWatchClient {
  const requestHandler = { connectionTimeout: timeoutMs, requestTimeout: timeoutMs, throwOnRequestTimeout: true };
  return new CloudWatchClient({ maxAttempts: 1, requestHandler });
}

/**
 * Reads the newest datapoint of metrics, in one call.
 *
 * @param now milliseconds since 1970
 * @returns a gauge for each metric, undefined where it has no recent datapoint
 */
export async function newestOf(
  client: CloudWatchClient,
  metrics: readonly MetricSource[],
  now: number,
): Promise<(Gauge | undefined)[]> {
  if (metrics.length === 0) return [];
  const answer = await client.send(
    new GetMetricDataCommand({
      MetricDataQueries: metrics.map((metric, i) => ({
        Id: `m${i}`,
        MetricStat: {
          Metric: { Namespace: metric.namespace, MetricName: metric.metric, Dimensions: listed(metric.dimensions) },
          Period: metric.periodSeconds,
          Stat: metric.statistic,
        },
        ReturnData: true,
      })),
      StartTime: new Date(now - LOOK_BACK_MS),
      EndTime: new Date(now),
      ScanBy: 'TimestampDescending',
    }),
  );
  return metrics.map((metric, i) => {
    const result = answer.MetricDataResults?.find(({ Id }) => Id === `m${i}`);
    const [value, start] = [result?.Values?.[0], result?.Timestamps?.[0]];
    if (value === undefined || start === undefined) return undefined;
    // A datapoint bears the beginning of its period; the newest one may not be over.
    return { value: value * (metric.factor ?? 1), at: Math.min(now, start.getTime() + metric.periodSeconds * 1000) };
  });
}

/** Publishes loads, in high resolution. */
export async function publish(
  client: CloudWatchClient,
  namespace: string,
  metrics: readonly LoadMetric[],
): Promise<void> {
  if (metrics.length === 0) return;
  await client.send(
    new PutMetricDataCommand({
      Namespace: namespace,
      MetricData: metrics.map(({ name, dimensions, value, unit, at }) => ({
        MetricName: name,
        Dimensions: listed(dimensions),
        Timestamp: new Date(at),
        Value: value,
        Unit: unit,
        StorageResolution: HIGH_RESOLUTION_SECONDS,
      })),
    }),
  );
}

function listed(dimensions: Readonly<Record<string, string>>): { Name: string; Value: string }[] {
  return Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value }));
}
