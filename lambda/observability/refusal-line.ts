import type { MetricsNames } from './record-line';

/**
 * One line of JSON for a caller that was turned away: a structured log line and, through its `_aws` block, a metric. An
 * authorizer can only refuse by failing, so without this its refusals and its faults would look alike.
 */
export function refusalLine(at: number, { namespace, service }: MetricsNames): string {
  return JSON.stringify({
    _aws: {
      Timestamp: at,
      CloudWatchMetrics: [
        { Namespace: namespace, Dimensions: [['Service']], Metrics: [{ Name: 'Unauthorized', Unit: 'Count' }] },
      ],
    },
    Service: service,
    Unauthorized: 1,
    level: 'info',
    message: 'unauthorized',
  });
}
