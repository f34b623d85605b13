import { describe, expect, it } from '@jest/globals';
import { Duration } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EndpointCertificate, InferencePlatform, JobQueue, ModelEndpoint, PlatformAlarms } from '../../../lib';
import { FLEETS, POLICY, givenVpc, newStack, templateOf } from '../synthesise';

describe('the alarms of a platform', () => {
  it('watch what they are given, and nothing else', () => {
    const stack = newStack();
    const { alarms } = new PlatformAlarms(stack, 'Watch', {
      topic: new sns.Topic(stack, 'OnCall'),
      queue: new JobQueue(stack, 'Jobs'),
      jobAge: Duration.minutes(10),
    });
    expect(alarms).toHaveLength(2);
    Template.fromStack(stack).hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'ApproximateAgeOfOldestMessage',
      Threshold: 600,
      AlarmDescription: 'A job has waited longer than 10 minutes',
    });
  });

  it('stay quiet while nobody calls, and speak when no instance answers or the scaling signal is silent', () => {
    const stack = newStack();
    new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS });
    const template = Template.fromStack(stack);
    const breaching = template.findResources('AWS::CloudWatch::Alarm', {
      Properties: { TreatMissingData: 'breaching' },
    });
    expect(
      Object.values(breaching)
        .map(({ Properties }) => (Properties as { MetricName: string }).MetricName)
        .sort(),
    ).toEqual(['FleetLoad', 'HealthyHostCount']);
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmDescription: 'More than 1 % of the requests end in a server error',
      Metrics: Match.arrayWith([Match.objectLike({ Expression: 'IF(requests >= 20, 100 * errors / requests, 0)' })]),
    });
  });
});

it('speaks at once when a breaker opened', () => {
  const stack = newStack();
  const { api } = new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS });
  Template.fromStack(stack).hasResourceProperties('AWS::CloudWatch::Alarm', {
    MetricName: 'BreakerOpened',
    Dimensions: [{ Name: 'Service', Value: stack.resolve(api.inference.serviceName) as string }],
    ...{ Statistic: 'Sum', Period: 60, Threshold: 0, ComparisonOperator: 'GreaterThanThreshold' },
    ...{ DatapointsToAlarm: 1, EvaluationPeriods: 1, TreatMissingData: 'notBreaching' },
  });
});

describe('the alarm of a certificate made at deployment', () => {
  const EXPIRY = {
    ...{ MetricName: 'DaysToExpiry', Namespace: 'AWS/CertificateManager', Statistic: 'Minimum', Period: 86_400 },
    ...{ ComparisonOperator: 'LessThanThreshold', DatapointsToAlarm: 1, EvaluationPeriods: 1 },
    TreatMissingData: 'ignore',
  };

  it('speaks a quarter of its time ahead, once for a platform, and goes on when it has expired', () => {
    const template = templateOf((stack) => {
      new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS, endpointCertificateSerial: '2' });
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', { ...EXPIRY, Threshold: 99 });
    template.resourcePropertiesCountIs('AWS::CloudWatch::Alarm', { MetricName: 'DaysToExpiry' }, 1);
    template.hasResourceProperties('Custom::EndpointCertificate', { Serial: '2' });
  });

  it('watches the certificates that endpoints have of their own, each once', () => {
    const stack = newStack();
    const vpc = givenVpc(stack);
    const validity = Duration.days(90);
    const endpointCertificate = new EndpointCertificate(stack, 'Shared', { validity });
    const endpoints = {
      a: new ModelEndpoint(stack, 'A', { vpc, endpointCertificate }),
      b: new ModelEndpoint(stack, 'B', { vpc, endpointCertificate }),
      c: new ModelEndpoint(stack, 'C', { vpc }),
    };
    new PlatformAlarms(stack, 'Watch', { topic: new sns.Topic(stack, 'OnCall'), endpoints });
    const template = Template.fromStack(stack);
    template.resourcePropertiesCountIs('AWS::CloudWatch::Alarm', { MetricName: 'DaysToExpiry' }, 2);
    template.hasResourceProperties('AWS::CloudWatch::Alarm', { ...EXPIRY, Threshold: 22 });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', { ...EXPIRY, Threshold: 99 });
  });
});

it('compares what a fleet wants with what it has, both in units of capacity', () => {
  const stack = newStack();
  new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS });
  const metric = (MetricName: string) =>
    Match.objectLike({ MetricStat: Match.objectLike({ Metric: Match.objectLike({ MetricName }) }) });
  Template.fromStack(stack).hasResourceProperties('AWS::CloudWatch::Alarm', {
    Metrics: [
      Match.objectLike({ Expression: 'desired - inService' }),
      ...['GroupDesiredCapacity', 'GroupInServiceCapacity'].map(metric),
    ],
  });
});

it('speaks when the scaling signal fails, and when it says nothing of a fleet', () => {
  const stack = newStack();
  const { fleetScaling } = new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS });
  const template = Template.fromStack(stack);
  const name = stack.resolve(fleetScaling!.handler.function.functionName) as object;
  template.hasResourceProperties('AWS::CloudWatch::Alarm', {
    ...{ MetricName: 'Errors', Threshold: 0, ComparisonOperator: 'GreaterThanThreshold' },
    Dimensions: [{ Name: 'FunctionName', Value: name }],
  });
  template.hasResourceProperties('AWS::CloudWatch::Alarm', {
    ...{ MetricName: 'FleetLoad', Statistic: 'SampleCount', Threshold: 1, ComparisonOperator: 'LessThanThreshold' },
    ...{ DatapointsToAlarm: 3, EvaluationPeriods: 5, TreatMissingData: 'breaching' },
  });
});

describe('the alarm of the authorizer', () => {
  it('does not ring for callers that it turns away', () => {
    const stack = newStack();
    new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS });
    Template.fromStack(stack).hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmDescription: 'The authorizer failed: callers with good keys get 500',
      Metrics: Match.arrayWith([Match.objectLike({ Expression: 'errors - FILL(refusals, 0)' })]),
    });
  });
});

describe('the dashboard of a platform', () => {
  it('shows the alarms first, then what users feel, then each part', () => {
    const stack = newStack();
    new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS });
    const [dashboard] = Object.values(Template.fromStack(stack).findResources('AWS::CloudWatch::Dashboard'));
    const body = JSON.stringify((dashboard!.Properties as { DashboardBody: unknown }).DashboardBody);
    const order = [
      'Alarms',
      'Requests',
      'Time to first token, ms',
      'Breakers opened',
      'Store, per cent',
      'Items of batches',
      'Batches that wait',
      'gpu: hosts',
      'Load of the fleets, per cent',
    ];
    const places = order.map((title) => body.indexOf(`\\"title\\":\\"${title}\\"`));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(Math.min(...places)).toBeGreaterThan(0);
    for (const backend of ['gpu', 'backup']) expect(body).toContain(`\\"Backend\\",\\"${backend}\\"`);
  });
});

describe('the alarms of batch jobs', () => {
  const stack = newStack();
  const { batchJobs } = new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS });
  const template = Template.fromStack(stack);
  const queue = (name: string) => [
    { Name: 'QueueName', Value: { 'Fn::GetAtt': [Match.stringLikeRegexp(name), 'QueueName'] } },
  ];

  it.each(['BatchJobsWorkQueue', 'BatchJobsControlQueue'])('speak when a message is older than an hour: %s', (name) => {
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      ...{ MetricName: 'ApproximateAgeOfOldestMessage', Threshold: 3600, Statistic: 'Maximum' },
      Dimensions: queue(name),
    });
  });

  it.each(['WorkDeadLetters', 'ControlDeadLetters'])('speak at the first dead letter: %s', (name) => {
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      ...{ MetricName: 'ApproximateNumberOfMessagesVisible', Threshold: 0, DatapointsToAlarm: 1 },
      Dimensions: queue(name),
    });
  });

  it('speak when a tenth of the items fail, and when none ends for half an hour', () => {
    const metricsOf = (...names: string[]) =>
      Match.arrayWith(
        names.map((MetricName) => {
          const Dimensions = [{ Name: 'Service', Value: batchJobs.serviceName }];
          return Match.objectLike({
            MetricStat: { Metric: { Dimensions, MetricName, Namespace: 'InferencePlatform' }, Period: 60, Stat: 'Sum' },
          });
        }),
      );
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      ...{ Threshold: 10, DatapointsToAlarm: 3, EvaluationPeriods: 5, TreatMissingData: 'notBreaching' },
      Metrics: metricsOf('BatchItemsCompleted', 'BatchItemsFailed'),
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      ...{ Threshold: 0, DatapointsToAlarm: 30, EvaluationPeriods: 30 },
      Metrics: metricsOf('BatchItemsCompleted', 'BatchItemsFailed', 'BatchItemsDeferred'),
    });
  });

  it('speak when splitting or putting together fails, and when a breaker opens at an item', () => {
    const control = stack.resolve(batchJobs.controller.function.functionName) as object;
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      ...{ MetricName: 'Errors', Threshold: 0 },
      Dimensions: [{ Name: 'FunctionName', Value: control }],
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'BreakerOpened',
      Dimensions: [{ Name: 'Service', Value: batchJobs.serviceName }],
    });
  });

  it('take another age and another share of failures, and no share that cannot be', () => {
    const alarms = (itemFailureRate: number) =>
      templateOf((own) => {
        const { batchJobs: batch, alarmTopic: topic } = new InferencePlatform(own, 'Platform', {
          policy: POLICY,
          fleets: FLEETS,
        });
        new PlatformAlarms(own, 'Alarms', { topic, batchJobs: batch, jobAge: Duration.minutes(10), itemFailureRate });
      });
    const own = alarms(2.5);
    own.hasResourceProperties('AWS::CloudWatch::Alarm', { Threshold: 2.5 });
    own.hasResourceProperties('AWS::CloudWatch::Alarm', { Threshold: 600 });
    for (const rate of [0, 101, NaN]) {
      expect(() => alarms(rate)).toThrow(`itemFailureRate must be above 0 and at most 100 per cent, got ${rate}`);
    }
  });
});
