import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import type { DataPipeline } from '../data-pipeline/data-pipeline';
import type { FeatureStore } from '../data-pipeline/feature-store';
import type { Retrieval } from '../data-pipeline/retrieval';
import type { AlarmRule } from './alarm-rule';

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
   * Retrieval to watch, by a name for people.
   *
   * @default - none
   */
  readonly retrievals?: Record<string, Retrieval>;

  /**
   * The longest that a pipeline may go without a run that succeeds, in whole hours up to a day, or whole days up to 7. For
   * pipelines that have a schedule.
   *
   * @default - pipelines may rest
   */
  readonly mostVersionAge?: Duration;

  /**
   * 99th percentile of the time that a query of retrieval may take.
   *
   * @default Duration.seconds(2)
   */
  readonly mostQueryTime?: Duration;

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

/** As an {@link AlarmRule}, by periods of the metric's own. */
interface DataAlarmRule extends Omit<AlarmRule, 'minutes'> {
  /** Periods that must be bad, and of how many. */
  readonly periods?: readonly [bad: number, of: number];
}

/**
 * Alarms on pipelines, feature stores and retrieval, all to one topic. None of them fires before there is anything to
 * judge, but that of `mostVersionAge`: a missing value is no alarm, monitors judge by a history of their own, and a share counts from a hundred values on.
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
    const rest = props.mostVersionAge && restOf(props.mostVersionAge);
    this.action = new SnsAction(props.topic);
    for (const [name, pipeline] of Object.entries(props.pipelines ?? {})) this.watchPipeline(name, pipeline, rest);
    for (const [name, store] of Object.entries(props.featureStores ?? {})) {
      this.watchStore(name, store, mostStalePercent, mostSkew);
    }
    const mostQueryTime = props.mostQueryTime ?? Duration.seconds(2);
    for (const [name, retrieval] of Object.entries(props.retrievals ?? {})) {
      this.watchRetrieval(name, retrieval, mostQueryTime);
    }
  }

  private watchPipeline(name: string, pipeline: DataPipeline, rest?: Rest): void {
    const period = { period: Duration.minutes(5) };
    this.add(`${name}-Failed`, {
      metric: pipeline.metricFailed(period),
      threshold: 0,
      description: `A run of the pipeline ${name} failed, ran out of time or was aborted: the execution says why`,
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
    if (!rest) return;
    this.add(`${name}-Rests`, {
      metric: pipeline.metricSucceeded({ period: rest.period, statistic: cloudwatch.Stats.SUM }),
      threshold: 1,
      comparison: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      description: `No run of the pipeline ${name} has succeeded for ${rest.text}: readers see an old version`,
      periods: [rest.periods, rest.periods],
      missing: cloudwatch.TreatMissingData.BREACHING,
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

  private watchRetrieval(name: string, retrieval: Retrieval, mostQueryTime: Duration): void {
    const period = { period: Duration.minutes(5) };
    this.add(`${name}-QueryErrors`, {
      metric: retrieval.metricErrors(period),
      threshold: 0,
      description: `Queries of ${name} failed: the log says why`,
      periods: [2, 3],
    });
    this.add(`${name}-QueryTime`, {
      metric: retrieval.metricDuration({ ...period, statistic: cloudwatch.Stats.p(99) }),
      threshold: mostQueryTime.toMilliseconds(),
      description: `Queries of ${name} take longer than ${mostQueryTime.toHumanString()}`,
      periods: [3, 5],
    });
    this.add(`${name}-IndexKept`, {
      metric: retrieval.pipeline.metricIndexesKept(period),
      threshold: 0,
      description: `A new index of ${name} found too little of the golden set: the one before still answers`,
    });
  }

  private add(id: string, rule: DataAlarmRule): void {
    const { metric, threshold, description, periods: [bad, of] = [1, 1] } = rule;
    const alarm = new cloudwatch.Alarm(this, id, {
      ...{ alarmDescription: description, metric, threshold, datapointsToAlarm: bad, evaluationPeriods: of },
      comparisonOperator: rule.comparison ?? cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      treatMissingData: rule.missing ?? cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(this.action);
    alarm.addOkAction(this.action);
    this.alarms.push(alarm);
  }
}

/** How a time without success is looked at: an alarm's period is at most a day, and its periods at most 7 days. */
interface Rest {
  readonly period: Duration;
  readonly periods: number;
  readonly text: string;
}

function restOf(most: Duration): Rest {
  const hours = most.toHours({ integral: false });
  const isWhole = Number.isInteger(hours) && hours >= 1 && (hours <= 24 || (hours % 24 === 0 && hours <= 168));
  if (!isWhole) {
    throw new Error(
      `mostVersionAge must be whole hours up to a day, or whole days up to 7, got ${most.toHumanString()}`,
    );
  }
  const periods = Math.max(1, hours / 24);
  return { period: Duration.hours(Math.min(24, hours)), periods, text: most.toHumanString() };
}
