import type { Audit } from './running/steps';

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
  const metrics = [
    { Name: 'PipelineRecordsRead', Unit: 'Count' },
    { Name: 'PipelineRecordsPublished', Unit: 'Count' },
    { Name: 'PipelineRecordsQuarantined', Unit: 'Count' },
    { Name: 'PipelineFaultRate', Unit: 'Percent' },
    { Name: 'PipelineVersionsHeld', Unit: 'Count' },
    { Name: 'PipelineAnomalies', Unit: 'Count' },
  ];
  const head = {
    _aws: {
      Timestamp: at,
      CloudWatchMetrics: [{ Namespace: namespace, Dimensions: [['Pipeline']], Metrics: metrics }],
    },
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
