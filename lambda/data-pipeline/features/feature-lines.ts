import type { IngestReport } from './ingest';
import type { ReadingCounts } from './served-sample';
import type { Skew } from './skew';

/** Under which names a feature store publishes its metrics. */
export interface FeatureMetricsNames {
  readonly namespace: string;
  /** Value of the dimension `FeatureStore`. */
  readonly store: string;
}

interface Metric {
  readonly Name: string;
  readonly Unit: 'Count' | 'Milliseconds' | 'None';
}

/** One line for each batch that came in: a structured log line and, through its `_aws` block, metrics. */
export function ingestLine(report: IngestReport, at: number, names: FeatureMetricsNames): string {
  const { taken, quarantined, oldestEventAgeMs } = report;
  const metrics: Metric[] = [
    { Name: 'FeatureRecords', Unit: 'Count' },
    { Name: 'FeatureRecordsQuarantined', Unit: 'Count' },
    ...(oldestEventAgeMs === undefined ? [] : [{ Name: 'FeatureEventAge', Unit: 'Milliseconds' } as const]),
  ];
  return line(names, at, [['FeatureStore']], metrics, {
    level: quarantined.length > 0 ? 'warn' : 'info',
    message: 'features taken in',
    FeatureRecords: taken,
    FeatureRecordsQuarantined: quarantined.length,
    FeatureEventAge: oldestEventAgeMs,
    // Some are enough to see what is wrong; all of them are in the bucket.
    ...(quarantined.length > 0 && { quarantined: quarantined.slice(0, 5) }),
  });
}

/** One line for each answer: how many of its values were fresh, and how many the declared fallback stood in for. */
export function servedLine(counts: ReadingCounts, entity: string, at: number, names: FeatureMetricsNames): string {
  const metrics: Metric[] = [
    { Name: 'FeatureReadings', Unit: 'Count' },
    { Name: 'FeatureReadingsStale', Unit: 'Count' },
    { Name: 'FeatureReadingsMissing', Unit: 'Count' },
  ];
  return line(names, at, [['FeatureStore'], ['FeatureStore', 'Entity']], metrics, {
    level: 'info',
    message: 'features served',
    Entity: entity,
    FeatureReadings: counts.fresh + counts.stale + counts.missing,
    FeatureReadingsStale: counts.stale,
    FeatureReadingsMissing: counts.missing,
  });
}

/** One line for each feature whose served values were compared with those of the training data. */
export function skewLine(
  feature: { readonly entity: string; readonly name: string },
  skew: Skew,
  at: number,
  names: FeatureMetricsNames,
): string {
  const dimensions = [['FeatureStore'], ['FeatureStore', 'Feature']];
  return line(names, at, dimensions, [{ Name: 'FeatureSkew', Unit: 'None' }], {
    level: 'info',
    message: 'feature skew',
    Entity: feature.entity,
    Feature: feature.name,
    FeatureSkew: skew.index,
    served_values: skew.servedValues,
    trained_values: skew.trainedValues,
  });
}

function line(
  { namespace, store }: FeatureMetricsNames,
  at: number,
  dimensions: readonly (readonly string[])[],
  metrics: readonly Metric[],
  fields: Readonly<Record<string, unknown>>,
): string {
  return JSON.stringify({
    _aws: { Timestamp: at, CloudWatchMetrics: [{ Namespace: namespace, Dimensions: dimensions, Metrics: metrics }] },
    FeatureStore: store,
    ...fields,
  });
}
