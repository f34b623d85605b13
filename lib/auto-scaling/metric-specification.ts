import type * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';

/** A metric in the words of a scaling policy. */
export function specificationOf({
  namespace,
  metricName,
  dimensions,
}: cloudwatch.Metric): autoscaling.CfnScalingPolicy.MetricProperty {
  return {
    namespace,
    metricName,
    dimensions: Object.entries(dimensions ?? {}).map(([name, value]) => ({ name, value: value as string })),
  };
}
