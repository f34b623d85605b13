import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import type { DataPipeline } from '../data-pipeline/data-pipeline';
import type { FeatureStore } from '../data-pipeline/feature-store';

/** Properties of the alarms on data. */
export interface DataAlarmsProps {
  /** Topic that hears of each alarm, and of its end. An encrypted one must let CloudWatch use its key. */
  readonly topic: sns.ITopic;

  /**
   * Pipelines to watch, by a name for people.
   *
   * @default - none
   */
  readonly pipelines?: Record<string, DataPipeline>;

  /**
   * Feature stores to watch, by a name for people.
   *
   * @default - none
   */
  readonly featureStores?: Record<string, FeatureStore>;

  /**
   * Per cent of the values that were asked for and are too old, above which models work with fallbacks.
   *
   * @default 5
   */
  readonly mostStalePercent?: number;

  /**
   * Population stability index of what is served against what was trained on, above which they are not alike.
   *
   * @default 0.25
   */
  readonly mostSkew?: number;
}

interface AlarmRule {
  readonly metric: cloudwatch.IMetric;
  readonly threshold: number;
  readonly description: string;
  /** Periods that must be bad, and of how many. */
  readonly periods?: readonly [bad: number, of: number];
}

/**
 * Alarms on pipelines and feature stores, all to one topic. None of them fires before there is anything to judge: a
 * missing value is no alarm, monitors judge by a history of their own, and a share counts from a hundred values on.
 */
export class DataAlarms extends Construct {
  /** All alarms. */
  public readonly alarms: cloudwatch.Alarm[] = [];

  private readonly action: SnsAction;

  constructor(scope: Construct, id: string, props: DataAlarmsProps) {
    super(scope, id);
    const { mostStalePercent = 5, mostSkew = 0.25 } = props;
    if (!(mostStalePercent >= 0 && mostStalePercent <= 100)) {
      throw new Error(`mostStalePercent must be a number from 0 to 100, got ${mostStalePercent}`);
    }
    if (!(mostSkew > 0)) throw new Error(`mostSkew must be a number above 0, got ${mostSkew}`);
    this.action = new SnsAction(props.topic);
    for (const [name, pipeline] of Object.entries(props.pipelines ?? {})) this.watchPipeline(name, pipeline);
    for (const [name, store] of Object.entries(props.featureStores ?? {})) {
      this.watchStore(name, store, mostStalePercent, mostSkew);
    }
  }

  private watchPipeline(name: string, pipeline: DataPipeline): void {
    const period = { period: Duration.minutes(5) };
    this.add(`${name}-Failed`, {
      metric: pipeline.metricFailed(period),
      threshold: 0,
      description: `A run of the pipeline ${name} published nothing: the execution says why`,
    });
    this.add(`${name}-Held`, {
      metric: pipeline.metricHeld(period),
      threshold: 0,
      description: `A version of the pipeline ${name} is held back: quarantine shows which records are at fault`,
    });
    this.add(`${name}-Anomalies`, {
      metric: pipeline.metricAnomalies(period),
      threshold: 0,
      description: `Monitors of the pipeline ${name} found what its history does not know: the log names them`,
    });
  }

  private watchStore(name: string, store: FeatureStore, mostStalePercent: number, mostSkew: number): void {
    const period = { period: Duration.minutes(5) };
    this.add(`${name}-Stale`, {
      metric: store.metricStaleShare(period),
      threshold: mostStalePercent,
      description: `More than ${mostStalePercent} % of the features of ${name} are too old: its sources are late`,
      periods: [3, 5],
    });
    this.add(`${name}-Skew`, {
      metric: store.metricSkew(),
      threshold: mostSkew,
      description: `A feature of ${name} is served unlike it was trained on: the log says which`,
      periods: [2, 3],
    });
    this.add(`${name}-Errors`, {
      metric: store.metricErrors(period),
      threshold: 0,
      description: `A function of the feature store ${name} failed: the log says why`,
      periods: [2, 3],
    });
  }

  private add(id: string, { metric, threshold, description, periods: [bad, of] = [1, 1] }: AlarmRule): void {
    const alarm = new cloudwatch.Alarm(this, id, {
      ...{ alarmDescription: description, metric, threshold, datapointsToAlarm: bad, evaluationPeriods: of },
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(this.action);
    alarm.addOkAction(this.action);
    this.alarms.push(alarm);
  }
}
