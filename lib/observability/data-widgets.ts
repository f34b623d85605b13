import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { DataPipeline } from '../data-pipeline/data-pipeline';
import type { FeatureStore } from '../data-pipeline/feature-store';
import type { Retrieval } from '../data-pipeline/retrieval';

const THIRD = 8;
const HEIGHT = 6;
const { RED, ORANGE } = cloudwatch.Color;

/** A line across a graph: what is alarming, or not let through. */
export interface Limit {
  readonly value: number;
  readonly label: string;
}

/** What a pipeline takes in and gives, how old it is, and how long its stages work: rows of a dashboard. */
export function pipelineRows(name: string, pipeline: DataPipeline): cloudwatch.IWidget[][] {
  const { mostFaultPercent } = pipeline;
  return [
    [
      graph(`${name}: records`, [
        pipeline.metricRead({ label: 'in' }),
        pipeline.metricPublished({ label: 'out' }),
        pipeline.metricQuarantined({ label: 'quarantined', color: ORANGE }),
      ]),
      graph(`${name}: records at fault, per cent`, [pipeline.metricFaultRate({ label: 'worst version' })], {
        value: mostFaultPercent,
        label: 'held back above',
      }),
      graph(`${name}: runs`, [
        pipeline.metricSucceeded({ label: 'succeeded', statistic: cloudwatch.Stats.SUM }),
        pipeline.metricFailed({ label: 'failed', color: RED }),
        pipeline.metricHeld({ label: 'versions held', color: ORANGE }),
        pipeline.metricAnomalies({ label: 'anomalies' }),
      ]),
    ],
    [
      graph(`${name}: age, s`, [
        pipeline.metricVersionAge({ label: 'of the version' }),
        pipeline.metricWatermarkAge({ label: 'of the newest record' }),
      ]),
      graph(`${name}: drift from the pinned version, PSI`, [pipeline.metricDrift({ label: 'worst field' })]),
      graph(
        `${name}: work of the stages, s`,
        pipeline.stageNames.map((stage) => pipeline.metricStageTime(stage, { label: stage })),
      ),
    ],
  ];
}

/** What a feature store takes in and serves. */
export function featureStoreRows(name: string, store: FeatureStore): cloudwatch.IWidget[][] {
  return [
    [
      graph(`${name}: records`, [
        store.metricRecords({ label: 'in' }),
        store.metricQuarantined({ label: 'quarantined', color: ORANGE }),
        store.metricIngestErrors({ label: 'batches failed', statistic: cloudwatch.Stats.SUM, color: RED }),
      ]),
      graph(`${name}: values served`, [
        store.metricReadings({ label: 'asked for' }),
        store.metricStale({ label: 'stale', color: ORANGE }),
        store.metricMissing({ label: 'missing' }),
      ]),
      graph(`${name}: stale, per cent`, [store.metricStaleShare({ label: 'share' })]),
    ],
    [
      graph(`${name}: time of a call, ms`, [
        store.metricServeTime({ label: 'p50', statistic: cloudwatch.Stats.p(50) }),
        store.metricServeTime({ label: 'p99' }),
      ]),
      graph(`${name}: skew from training, PSI`, [store.metricSkew({ label: 'worst feature' })]),
      graph(`${name}: age of events, ms`, [store.metricEventAge({ label: 'p99' })]),
    ],
  ];
}

/** How retrieval answers, and what its index finds. */
export function retrievalRows(name: string, retrieval: Retrieval): cloudwatch.IWidget[][] {
  const { pipeline } = retrieval;
  return [
    [
      graph(`${name}: queries`, [
        retrieval.metricInvocations({ label: 'asked' }),
        retrieval.metricErrors({ label: 'failed', color: RED }),
      ]),
      graph(`${name}: time of a query, ms`, [
        retrieval.metricDuration({ label: 'p50', statistic: cloudwatch.Stats.p(50) }),
        retrieval.metricDuration({ label: 'p99', statistic: cloudwatch.Stats.p(99) }),
      ]),
      graph(`${name}: golden set found, per cent`, [pipeline.metricIndexRecall({ label: 'worst index' })]),
    ],
    [
      graph(`${name}: age of the index, s`, [pipeline.metricIndexAge({ label: 'index' })]),
      graph(`${name}: indexes kept back`, [pipeline.metricIndexesKept({ label: 'found too little', color: RED })]),
    ],
  ];
}

function graph(title: string, left: cloudwatch.IMetric[], limit?: Limit): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({
    ...{ title, width: THIRD, height: HEIGHT, left, leftYAxis: { min: 0 } },
    ...(limit && { leftAnnotations: [{ ...limit, color: RED }] }),
  });
}
