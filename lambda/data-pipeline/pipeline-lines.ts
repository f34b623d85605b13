import type { IndexSwitch } from './retrieval/switch-index';
import type { Audit } from './running/steps';
import type { Publication } from './versions/publish';

/** Under which names a pipeline publishes its metrics. */
export interface PipelineMetricsNames {
  readonly namespace: string;
  /** Value of the dimension `Pipeline`. */
  readonly pipeline: string;
}

/**
 * Lines of an audit: one for the version, with the metrics that alarms read, and one for each monitor that alarms. What a
 * monitor finds is judged where its history is; the alarm counts what was found.
 */
export function auditLines(audit: Audit, at: number, { namespace, pipeline }: PipelineMetricsNames): string[] {
  const { version, isHeld, held, faultRate, counts, findings } = audit;
  const alarms = findings.filter(({ isAlarm }) => isAlarm);
  const watermarkAge = findings.find(({ monitor }) => monitor === 'freshness')?.value;
  const drifts = findings.filter(({ monitor }) => monitor.startsWith('drift.')).map(({ value }) => value);
  const seen = {
    // Of records none of which has a time, the age is not a number.
    ...(watermarkAge !== undefined && Number.isFinite(watermarkAge) && { PipelineWatermarkAge: watermarkAge }),
    ...(drifts.length > 0 && { PipelineDrift: Math.max(...drifts) }),
  };
  const metrics = [
    { Name: 'PipelineRecordsRead', Unit: 'Count' },
    { Name: 'PipelineRecordsPublished', Unit: 'Count' },
    { Name: 'PipelineRecordsQuarantined', Unit: 'Count' },
    { Name: 'PipelineFaultRate', Unit: 'Percent' },
    { Name: 'PipelineVersionsHeld', Unit: 'Count' },
    { Name: 'PipelineAnomalies', Unit: 'Count' },
    ...Object.keys(seen).map((Name) => ({ Name, Unit: Name === 'PipelineWatermarkAge' ? 'Seconds' : 'None' })),
  ];
  const head = {
    ...metricsOf(namespace, at, [['Pipeline']], metrics),
    Pipeline: pipeline,
    level: isHeld || alarms.length > 0 ? 'warn' : 'info',
    message: 'pipeline audited',
    version,
    ...(held !== undefined && { held }),
    PipelineRecordsRead: counts.read,
    PipelineRecordsPublished: isHeld ? 0 : counts.published,
    PipelineRecordsQuarantined: counts.quarantined,
    PipelineFaultRate: faultRate * 100,
    PipelineVersionsHeld: isHeld ? 1 : 0,
    PipelineAnomalies: alarms.length,
    ...seen,
  };
  return [
    head,
    ...alarms.map(({ monitor, value, detail }) => ({
      Pipeline: pipeline,
      level: 'warn',
      message: 'pipeline anomaly',
      version,
      monitor,
      value,
      detail,
    })),
  ].map((line) => JSON.stringify(line));
}

/** How long each stage worked on a batch of shards. */
export function stageLines(
  seconds: Readonly<Record<string, number>>,
  at: number,
  { namespace, pipeline }: PipelineMetricsNames,
): string[] {
  return Object.entries(seconds).map(([stage, spent]) =>
    JSON.stringify({
      ...metricsOf(namespace, at, [['Pipeline', 'Stage']], [{ Name: 'PipelineStageSeconds', Unit: 'Seconds' }]),
      ...{ Pipeline: pipeline, Stage: stage, level: 'info', message: 'pipeline stage', PipelineStageSeconds: spent },
    }),
  );
}

/** What the log says of a publication. */
const TOLD: Readonly<Record<Publication['outcome'], string>> = {
  published: 'published',
  unchanged: 'unchanged',
  rolledBack: 'not published again after its roll-back',
  overtaken: 'overtaken',
};

/** When readers got a version, as seconds since 1970: what its age is told by. */
export function publishedLine(
  { outcome, version }: Publication,
  at: number,
  { namespace, pipeline }: PipelineMetricsNames,
): string {
  const isNew = outcome === 'published';
  return JSON.stringify({
    ...(isNew && metricsOf(namespace, at, [['Pipeline']], [{ Name: 'PipelinePublishedAt', Unit: 'Seconds' }])),
    ...{ Pipeline: pipeline, level: 'info', message: `pipeline version ${TOLD[outcome]}`, version },
    ...(isNew && { PipelinePublishedAt: Math.floor(at / 1000) }),
  });
}

/** Golden queries that one line lists at the most. */
const MOST_MISSED = 20;

/** What became of a version's index: which part of the golden set it finds, in per cent, and when it took over. */
export function indexLine(
  { isSwitched, recall, missed, index }: IndexSwitch,
  at: number,
  { namespace, pipeline }: PipelineMetricsNames,
): string {
  const values = {
    ...(recall !== undefined && { PipelineIndexRecall: recall * 100 }),
    PipelineIndexesKept: isSwitched ? 0 : 1,
    ...(isSwitched && { PipelineIndexedAt: Math.floor(at / 1000) }),
  };
  const units = { PipelineIndexRecall: 'Percent', PipelineIndexesKept: 'Count', PipelineIndexedAt: 'Seconds' } as const;
  const metrics = Object.keys(values).map((Name) => ({ Name, Unit: units[Name as keyof typeof units] }));
  return JSON.stringify({
    ...metricsOf(namespace, at, [['Pipeline']], metrics),
    ...{ Pipeline: pipeline, level: isSwitched ? 'info' : 'warn', message: 'pipeline index', index, isSwitched },
    ...values,
    missed: missed.slice(0, MOST_MISSED),
  });
}

interface Metric {
  readonly Name: string;
  readonly Unit: string;
}

function metricsOf(
  namespace: string,
  at: number,
  dimensions: readonly (readonly string[])[],
  metrics: readonly Metric[],
): object {
  return {
    _aws: { Timestamp: at, CloudWatchMetrics: [{ Namespace: namespace, Dimensions: dimensions, Metrics: metrics }] },
  };
}
