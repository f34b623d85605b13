import type { MetricsNames } from './record-line';

/** What one invocation of a worker came to. */
export interface ItemsReport {
  readonly completed: number;
  readonly failed: number;
  /** Items whose batch was cancelled. */
  readonly skipped: number;
  /** Items that were put off or given back. */
  readonly deferred: number;
  /** Messages that went to the dead letters. */
  readonly buried: number;
  /** How long each item took that ended, in seconds. */
  readonly seconds: readonly number[];
  /** Ids of the messages that are to be delivered again, since not even their putting off could be noted. */
  readonly kept: readonly string[];
}

/**
 * One line of JSON for an invocation of a worker: a structured log line and, through its `_aws` block, the metrics of its
 * items, by service. The times are a list, of which CloudWatch makes percentiles.
 */
export function itemsLine(at: number, report: ItemsReport, { namespace, service }: MetricsNames): string {
  const { completed, failed, skipped, deferred, buried, seconds, kept } = report;
  const Metrics = [
    { Name: 'BatchItemsCompleted', Unit: 'Count' },
    { Name: 'BatchItemsFailed', Unit: 'Count' },
    { Name: 'BatchItemsDeferred', Unit: 'Count' },
    ...(seconds.length > 0 ? [{ Name: 'BatchItemSeconds', Unit: 'Seconds' }] : []),
  ];
  return JSON.stringify({
    _aws: {
      Timestamp: at,
      CloudWatchMetrics: [{ Namespace: namespace, Dimensions: [['Service']], Metrics }],
    },
    Service: service,
    BatchItemsCompleted: completed,
    BatchItemsFailed: failed,
    BatchItemsDeferred: deferred,
    BatchItemSeconds: seconds.length > 0 ? seconds : undefined,
    level: kept.length > 0 || buried > 0 ? 'warn' : 'info',
    message: 'items',
    skipped: skipped || undefined,
    buried: buried || undefined,
    delivered_again: kept.length || undefined,
  });
}

/** A structured log line for a fault of ours at an item, which is put off for it. */
export function itemFaultLine(error: unknown, { batchId, line }: { batchId: string; line: number }): string {
  const fault = error instanceof Error ? error : new Error(String(error));
  return JSON.stringify({
    level: 'error',
    message: 'item',
    batch: batchId,
    line,
    'exception.message': fault.message,
    'exception.stacktrace': fault.stack,
  });
}
