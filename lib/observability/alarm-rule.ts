import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';

/** What makes an alarm. */
export interface AlarmRule {
  readonly metric: cloudwatch.IMetric;
  readonly threshold: number;
  readonly comparison?: cloudwatch.ComparisonOperator;
  readonly description: string;
  /** Minutes, or longer periods of the metric, that must be bad, and of how many. */
  readonly minutes?: readonly [bad: number, of: number];
  readonly missing?: cloudwatch.TreatMissingData;
}
