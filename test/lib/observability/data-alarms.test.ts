import { describe, expect, it } from '@jest/globals';
import { Duration } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as sns from 'aws-cdk-lib/aws-sns';
import { DataAlarms, type DataAlarmsProps, DataPipeline, FeatureStore, FeatureType, Retrieval } from '../../../lib';
import { newStack } from '../synthesise';

function build(props: Partial<DataAlarmsProps> = {}) {
  const stack = newStack();
  const pipeline = new DataPipeline(stack, 'Pipeline', {
    definition: { name: 'texts', stages: [{ name: 'parse', work: { parse: {} } }] },
  });
  const store = new FeatureStore(stack, 'Features', {
    definition: {
      name: 'shop',
      features: [{ name: 'spend', entity: 'customer', type: FeatureType.NUMBER, ttlSeconds: 60, sourceVersion: 'v1' }],
    },
  });
  const alarms = new DataAlarms(stack, 'Alarms', {
    topic: new sns.Topic(stack, 'OnCall'),
    pipelines: { texts: pipeline },
    featureStores: { shop: store },
    ...props,
  });
  return { alarms, template: Template.fromStack(stack) };
}

describe('alarms on data', () => {
  const { alarms, template } = build();

  it('tell of runs that published nothing, of versions that are held, and of anomalies', () => {
    for (const MetricName of ['PipelineVersionsHeld', 'PipelineAnomalies']) {
      template.hasResourceProperties('AWS::CloudWatch::Alarm', { MetricName, Threshold: 0, EvaluationPeriods: 1 });
    }
    const counted = (MetricName: string) =>
      Match.objectLike({ MetricStat: Match.objectLike({ Metric: Match.objectLike({ MetricName }), Stat: 'Sum' }) });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      ...{ Threshold: 0, EvaluationPeriods: 1 },
      AlarmDescription: 'A run of the pipeline texts failed, ran out of time or was aborted: the execution says why',
      Metrics: [
        Match.objectLike({ Expression: 'FILL(failed, 0) + FILL(timedOut, 0) + FILL(aborted, 0)' }),
        ...['ExecutionsFailed', 'ExecutionsTimedOut', 'ExecutionsAborted'].map(counted),
      ],
    });
  });

  it('tell of features that are stale, or served unlike they were trained on', () => {
    template.hasResourceProperties('AWS::CloudWatch::Alarm', { MetricName: 'FeatureSkew', Threshold: 0.25 });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      Threshold: 5,
      DatapointsToAlarm: 3,
      EvaluationPeriods: 5,
    });
    build({ mostStalePercent: 1, mostSkew: 0.1 }).template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      Threshold: 0.1,
    });
  });

  it('fire for nothing that is not there yet, and tell the topic of each alarm and its end', () => {
    expect(alarms.alarms).toHaveLength(6);
    template.allResourcesProperties('AWS::CloudWatch::Alarm', { TreatMissingData: 'notBreaching' });
    for (const { Properties } of Object.values(template.findResources('AWS::CloudWatch::Alarm'))) {
      expect(Properties).toMatchObject({ AlarmActions: [expect.anything()], OKActions: [expect.anything()] });
    }
  });

  it('tell of a pipeline that rests too long, also before its first run', () => {
    const rests = (mostVersionAge: Duration) =>
      build({ mostVersionAge }).template.findResources('AWS::CloudWatch::Alarm', {
        Properties: { MetricName: 'ExecutionsSucceeded' },
      });
    const [daily] = Object.values(rests(Duration.days(2)));
    expect(daily!.Properties).toMatchObject({
      ...{ Period: 86_400, EvaluationPeriods: 2, DatapointsToAlarm: 2, Threshold: 1, Statistic: 'Sum' },
      ...{ ComparisonOperator: 'LessThanThreshold', TreatMissingData: 'breaching' },
      AlarmDescription: 'No run of the pipeline texts has succeeded for 2 days: readers see an old version',
    });
    const [hourly] = Object.values(rests(Duration.hours(6)));
    expect(hourly!.Properties).toMatchObject({ Period: 21_600, EvaluationPeriods: 1 });
    for (const age of [Duration.minutes(90), Duration.hours(30), Duration.days(8)]) {
      expect(() => rests(age)).toThrow('mostVersionAge must be whole hours up to a day, or whole days up to 7, got');
    }
  });

  it('tell of retrieval that fails, is slow, or keeps its old index', () => {
    const stack = newStack();
    const pipeline = new DataPipeline(stack, 'Pipeline', {
      definition: {
        name: 'manual',
        stages: [
          { name: 'chunk', work: { chunk: {} } },
          { name: 'embed', work: { embed: { model: 'm', dimensions: 8 } } },
        ],
        retrieval: {},
      },
      embeddingUrl: 'https://models.example.com',
    });
    const { alarms: watched } = new DataAlarms(stack, 'Alarms', {
      topic: new sns.Topic(stack, 'OnCall'),
      retrievals: { manual: new Retrieval(stack, 'Retrieval', { pipeline }) },
      mostQueryTime: Duration.millis(800),
    });
    expect(watched).toHaveLength(3);
    const watching = Template.fromStack(stack);
    watching.hasResourceProperties('AWS::CloudWatch::Alarm', {
      ...{ MetricName: 'Duration', ExtendedStatistic: 'p99', Threshold: 800 },
    });
    watching.hasResourceProperties('AWS::CloudWatch::Alarm', { MetricName: 'PipelineIndexesKept', Threshold: 0 });
  });

  it('refuse limits that cannot be', () => {
    expect(() => build({ mostStalePercent: 101 })).toThrow('mostStalePercent must be a number from 0 to 100, got 101');
    expect(() => build({ mostSkew: 0 })).toThrow('mostSkew must be a number above 0, got 0');
  });
});
