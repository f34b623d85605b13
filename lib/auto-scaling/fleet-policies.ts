import { Duration } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { MetricFamily } from '../handlers/metric-family';
import { FULL_LOAD, SCALING_DEFAULTS } from '../policy/scaling-defaults';
import type { GpuFleet } from './gpu-fleet';
import { specificationOf } from './metric-specification';
import { type FleetScalingSettings, type PeakHours, PredictiveScaling } from './scaling-settings';

const MINUTE = Duration.minutes(1);

/** Properties of the policies of one fleet. */
export interface FleetPoliciesProps extends FleetScalingSettings {
  /** The fleet. */
  readonly fleet: GpuFleet;

  /** Namespace of the loads that the scaling signal publishes. */
  readonly metricsNamespace: string;

  /** How often Auto Scaling looks at the load: 10, 30 or 60 seconds. */
  readonly period: Duration;

  /**
   * Queue whose jobs wake a fleet without instances.
   *
   * @default - none
   */
  readonly queue?: sqs.IQueue;
}

/** The policies by which one fleet follows its load: up at once, down one by one, and ahead of what is known to come. */
export class FleetPolicies extends Construct {
  /** Scales out by target tracking on the load. */
  public readonly followLoad: autoscaling.CfnScalingPolicy;

  /** Takes one instance away. Where weights differ, one of several units goes once the last of them is too many. */
  public readonly releaseOne: autoscaling.CfnScalingPolicy;

  /** Speaks while the law wants at least one instance less than there are. */
  public readonly releaseAlarm: cloudwatch.Alarm;

  /**
   * Launches the first instance of a fleet that may have none.
   *
   * @default - the fleet always has one
   */
  public readonly wake?: autoscaling.CfnScalingPolicy;

  /**
   * Launches instances ahead of the forecast.
   *
   * @default - no forecast is made
   */
  public readonly forecast?: autoscaling.CfnScalingPolicy;

  private readonly fleet: GpuFleet;
  private readonly metrics: MetricFamily;

  constructor(scope: Construct, id: string, props: FleetPoliciesProps) {
    super(scope, id);
    this.fleet = props.fleet;
    this.metrics = new MetricFamily(this, {
      namespace: props.metricsNamespace,
      dimensions: { Group: this.fleet.group.autoScalingGroupName },
      period: MINUTE,
    });

    this.followLoad = this.addFollowLoad(props.period);
    [this.releaseOne, this.releaseAlarm] = this.addRelease(props);
    if (this.fleet.minCapacity === 0) this.wake = this.addWake(props.queue!);
    for (const peak of props.peaks ?? []) this.addPeak(peak);
    const mode = props.predictiveScaling ?? PredictiveScaling.OFF;
    if (mode !== PredictiveScaling.OFF) this.forecast = this.addForecast(mode);
    this.fleet.yieldTo(this.metricLoad());
  }

  /**
   * Instances that the fleet should have, in per cent of those that it has or waits for: above 100 it grows. Both in units
   * of capacity where it has `instanceWeights`.
   */
  public metricLoad(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.average('FleetLoad', props);
  }

  /** The load that the fleet would have with one instance less: below 100, one can go. */
  public metricLoadWithoutOne(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.maximum('FleetLoadWithoutOne', props);
  }

  /** Instances that the work asks for, however many there are; in units of capacity with `instanceWeights`. */
  public metricDemand(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.average('FleetDemand', props);
  }

  /**
   * Up only: target tracking would take all instances away at once that the law does not want. The load is a share of
   * whole instances, so that what target tracking multiplies is what the law wants.
   * The metric's period is set on the L1: the L2 drops it.
   */
  private addFollowLoad(period: Duration): autoscaling.CfnScalingPolicy {
    return this.addPolicy('FollowLoad', {
      policyType: 'TargetTrackingScaling',
      targetTrackingConfiguration: {
        targetValue: FULL_LOAD,
        disableScaleIn: true,
        customizedMetricSpecification: {
          metrics: [
            {
              id: 'load',
              returnData: true,
              metricStat: {
                metric: specificationOf(this.metricLoad()),
                stat: cloudwatch.Stats.AVERAGE,
                period: period.toSeconds(),
              },
            },
          ],
        },
      },
    });
  }

  /**
   * With weights, a group keeps each instance without which it would have less than it wants: never too much goes.
   *
   * A simple policy, and no step policy: CloudWatch invokes a policy each minute for as long as its alarm speaks, and a
   * simple one alone waits for an instance to be gone, and for its cooldown, before it takes the next.
   */
  private addRelease(props: FleetPoliciesProps): [autoscaling.CfnScalingPolicy, cloudwatch.Alarm] {
    const policy = this.addPolicy('ReleaseOne', {
      policyType: 'SimpleScaling',
      adjustmentType: 'ChangeInCapacity',
      scalingAdjustment: -this.fleet.instanceUnits.step,
      cooldown: String(props.scaleInInterval?.toSeconds() ?? SCALING_DEFAULTS.scaleInIntervalSeconds),
    });
    const alarm = new cloudwatch.Alarm(this, 'OneTooMany', {
      alarmDescription: 'The fleet has more instances than its work wanted lately: one is taken away. No fault',
      metric: this.metricLoadWithoutOne(),
      comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      threshold: FULL_LOAD,
      // The law has waited already: a minute is for a reading that was wrong.
      evaluationPeriods: SCALING_DEFAULTS.releaseAfterSeconds / MINUTE.toSeconds(),
      // Nothing goes while nothing is known.
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction({ bind: () => ({ alarmActionArn: policy.ref }) });
    return [policy, alarm];
  }

  /**
   * Target tracking multiplies what is there, and nothing times any load is nothing. The queue's own metric takes part,
   * so that jobs wake the fleet while the signal is silent.
   */
  private addWake(queue: sqs.IQueue): autoscaling.CfnScalingPolicy {
    const policy = this.addPolicy('Wake', {
      policyType: 'StepScaling',
      adjustmentType: 'ChangeInCapacity',
      metricAggregationType: 'Maximum',
      // Until then the alarm may speak on, and no second instance is launched for it.
      estimatedInstanceWarmup: this.fleet.bootTime.toSeconds(),
      stepAdjustments: [{ metricIntervalLowerBound: 0, scalingAdjustment: 1 }],
    });
    const maximum = { statistic: cloudwatch.Stats.MAXIMUM, period: MINUTE };
    new cloudwatch.Alarm(this, 'WorkWithoutInstance', {
      alarmDescription: 'Work waits and no instance is wanted: the first one is launched. No fault',
      metric: new cloudwatch.MathExpression({
        expression: 'IF(wanted < 1, FILL(waiting, 0) + FILL(demand, 0), 0)',
        usingMetrics: {
          wanted: this.fleet.metricDesired(maximum),
          waiting: queue.metricApproximateNumberOfMessagesVisible(maximum),
          demand: this.metricDemand(maximum),
        },
        label: 'Work without an instance',
        period: MINUTE,
      }),
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      threshold: 0,
      evaluationPeriods: 1,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    }).addAlarmAction({ bind: () => ({ alarmActionArn: policy.ref }) });
    return policy;
  }

  private addPeak({ name, start, end, timeZone, minCapacity }: PeakHours): void {
    const { group } = this.fleet;
    group.scaleOnSchedule(`${name}Begins`, { schedule: start, timeZone, minCapacity });
    group.scaleOnSchedule(`${name}Ends`, { schedule: end, timeZone, minCapacity: this.fleet.minCapacity });
  }

  /** The demand does not depend on how many instances there are, which is what a forecast has to be made of. */
  private addForecast(mode: PredictiveScaling): autoscaling.CfnScalingPolicy {
    const query = (id: string, metric: cloudwatch.Metric, stat: string) => ({
      metricDataQueries: [{ id, returnData: true, metricStat: { metric: specificationOf(metric), stat } }],
    });
    return this.addPolicy('Forecast', {
      policyType: 'PredictiveScaling',
      predictiveScalingConfiguration: {
        mode,
        maxCapacityBreachBehavior: 'HonorMaxCapacity',
        schedulingBufferTime: Math.min(3600, this.fleet.bootTime.toSeconds()),
        metricSpecifications: [
          {
            targetValue: FULL_LOAD,
            customizedLoadMetricSpecification: query('demand', this.metricDemand(), cloudwatch.Stats.SUM),
            customizedScalingMetricSpecification: query('load', this.metricLoad(), cloudwatch.Stats.AVERAGE),
            customizedCapacityMetricSpecification: query(
              'size',
              this.fleet.metricInServiceCapacity(),
              cloudwatch.Stats.AVERAGE,
            ),
          },
        ],
      },
    });
  }

  private addPolicy(
    id: string,
    props: Omit<autoscaling.CfnScalingPolicyProps, 'autoScalingGroupName'>,
  ): autoscaling.CfnScalingPolicy {
    return new autoscaling.CfnScalingPolicy(this, id, {
      autoScalingGroupName: this.fleet.group.autoScalingGroupName,
      ...props,
    });
  }
}
