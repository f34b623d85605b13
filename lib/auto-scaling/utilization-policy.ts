import type { Duration } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { specificationOf } from './metric-specification';

/** What a group's GPU utilisation is held at. */
interface UtilizationTarget {
  readonly group: autoscaling.IAutoScalingGroup;
  /** The GPU utilisation of the group's instances, in per cent. */
  readonly utilization: cloudwatch.Metric;
  readonly targetValue: number;
  /** How often it is looked at. */
  readonly period: Duration;
}

/**
 * Holds a group at its GPU utilisation. The metric's period is set on the L1: the L2 drops it, and a minute's wait is a
 * minute of queueing.
 */
export function followUtilization(
  scope: Construct,
  { group, utilization, targetValue, period }: UtilizationTarget,
): autoscaling.CfnScalingPolicy {
  return new autoscaling.CfnScalingPolicy(scope, 'FollowGpuUtilization', {
    autoScalingGroupName: group.autoScalingGroupName,
    policyType: 'TargetTrackingScaling',
    targetTrackingConfiguration: {
      targetValue,
      customizedMetricSpecification: {
        metrics: [
          {
            id: 'utilization',
            returnData: true,
            metricStat: {
              metric: specificationOf(utilization),
              stat: cloudwatch.Stats.AVERAGE,
              period: period.toSeconds(),
            },
          },
        ],
      },
    },
  });
}

/** The same target for as long as a signal is silent: while that has data, the policy sees its own target. */
export function followUtilizationWithout(
  signal: cloudwatch.Metric,
  { utilization, targetValue }: Pick<UtilizationTarget, 'utilization' | 'targetValue'>,
): autoscaling.CfnScalingPolicy.TargetTrackingConfigurationProperty {
  // By the minute: a gap of seconds between two rounds of the signal is no silence.
  const stat = (id: string, metric: cloudwatch.Metric) => ({
    id,
    returnData: false,
    metricStat: { metric: specificationOf(metric), stat: cloudwatch.Stats.AVERAGE, period: 60 },
  });
  return {
    targetValue,
    customizedMetricSpecification: {
      metrics: [
        stat('utilization', utilization),
        stat('signal', signal),
        { id: 'standby', expression: `IF(FILL(signal, -1) < 0, utilization, ${targetValue})`, returnData: true },
      ],
    },
  };
}
