import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import type { ModelEndpoint } from '../load-balancing/model-endpoint';

/** Share of answers with a 5xx status above which a deployment is undone. */
const MAX_ERROR_RATE = 0.05;

/** Requests a minute below which a share says nothing. */
const MIN_REQUESTS = 20;

/** Rings while the instances behind an endpoint answer with errors: what stops an instance refresh and rolls it back. */
export function rollbackAlarm(
  scope: Construct,
  id: string,
  endpoint: ModelEndpoint,
  topic: sns.ITopic,
): cloudwatch.Alarm {
  const period = Duration.minutes(1);
  const alarm = new cloudwatch.Alarm(scope, id, {
    alarmDescription: 'Instances of the model answer with errors: an instance refresh is rolled back',
    metric: new cloudwatch.MathExpression({
      label: 'share of server errors',
      expression: `IF(requests >= ${MIN_REQUESTS}, FILL(errors, 0) / requests, 0)`,
      usingMetrics: {
        errors: endpoint.metricServerErrors({ period }),
        requests: endpoint.targetGroup.metrics.requestCount({ period }),
      },
      period,
    }),
    threshold: MAX_ERROR_RATE,
    comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
    evaluationPeriods: 2,
    treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
  });
  const action = new SnsAction(topic);
  alarm.addAlarmAction(action);
  alarm.addOkAction(action);
  return alarm;
}
