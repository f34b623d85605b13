import { describe, expect, it } from '@jest/globals';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Schedule } from 'aws-cdk-lib/aws-autoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import {
  FleetScaling,
  type FleetScalingProps,
  type FleetSettings,
  GpuFleet,
  JobQueue,
  PredictiveScaling,
  ResponseCache,
  type ScaledFleet,
} from '../../../lib';
import { givenVpc, newStack } from '../synthesise';

interface Given {
  readonly fleet?: Partial<FleetSettings>;
  readonly settings?: Partial<ScaledFleet>;
  readonly props?: Partial<FleetScalingProps>;
  readonly queue?: boolean;
}

function scaled(stack: Stack, { fleet: fleetProps, settings, props, queue }: Given = {}, id = ''): FleetScaling {
  const vpc = (stack.node.tryFindChild('GivenVpc') as ReturnType<typeof givenVpc> | undefined) ?? givenVpc(stack);
  const fleet = new GpuFleet(stack, `Fleet${id}`, { vpc, modelServer: { model: 'Qwen/Qwen3-8B' }, ...fleetProps });
  return new FleetScaling(stack, `Scaling${id}`, {
    ...{ vpc, store: new ResponseCache(stack, `Cache${id}`, { vpc }), fleets: { gpu: { fleet, ...settings } } },
    ...(queue && { queue: new JobQueue(stack, `Jobs${id}`).queue }),
    ...props,
  });
}

function templateOf(given?: Given): Template {
  const stack = newStack();
  scaled(stack, given);
  return Template.fromStack(stack);
}

const GROUP = { Ref: Match.stringLikeRegexp('^FleetGroup') };
const LOAD = (MetricName: string) => ({
  ...{ MetricName, Namespace: 'InferencePlatform/Scaling', Dimensions: [{ Name: 'Group', Value: GROUP }] },
});

describe('a scaled fleet', () => {
  const template = templateOf();

  it('grows with its load, looked at every ten seconds, to what the law calls 100 per cent', () => {
    template.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', {
      PolicyType: 'TargetTrackingScaling',
      AutoScalingGroupName: GROUP,
      TargetTrackingConfiguration: {
        TargetValue: 100,
        DisableScaleIn: true,
        CustomizedMetricSpecification: {
          Metrics: [{ ReturnData: true, MetricStat: { Metric: LOAD('FleetLoad'), Period: 10, Stat: 'Average' } }],
        },
      },
    });
  });

  it('shrinks by one instance at a time, while the law wants fewer', () => {
    template.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', {
      ...{ PolicyType: 'SimpleScaling', AdjustmentType: 'ChangeInCapacity', ScalingAdjustment: -1, Cooldown: '120' },
      AutoScalingGroupName: GROUP,
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      ...LOAD('FleetLoadWithoutOne'),
      ...{ Statistic: 'Maximum', Period: 60, EvaluationPeriods: 1, Threshold: 100 },
      ...{ ComparisonOperator: 'LessThanThreshold', TreatMissingData: 'notBreaching' },
      AlarmActions: [{ Ref: Match.stringLikeRegexp('ReleaseOne') }],
    });
  });

  it('is held by its GPU utilisation while the signal is silent, and only then', () => {
    template.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', {
      TargetTrackingConfiguration: {
        TargetValue: 70,
        CustomizedMetricSpecification: {
          Metrics: [
            {
              ...{ Id: 'utilization', ReturnData: false },
              MetricStat: { Metric: Match.objectLike({ MetricName: 'nvidia_smi_utilization_gpu' }), Period: 60 },
            },
            { Id: 'signal', ReturnData: false, MetricStat: { Metric: LOAD('FleetLoad'), Period: 60 } },
            { Expression: 'IF(FILL(signal, -1) < 0, utilization, 70)', ReturnData: true },
          ],
        },
      },
    });
  });

  it('is read and told of by a function that runs once a minute, alone, and is never tried again', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(1 minute)',
      Targets: [Match.objectLike({ RetryPolicy: { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0 } })],
    });
    template.hasResourceProperties('AWS::Lambda::EventInvokeConfig', {
      ...{ MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
    });
    template.hasResourceProperties('AWS::Lambda::Function', { ReservedConcurrentExecutions: 1, Timeout: 60 });
  });

  it('lets that function read, and write to its own namespace, and nothing else', () => {
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: [
          {
            ...{ Effect: 'Allow', Resource: '*' },
            Action: ['autoscaling:DescribeAutoScalingGroups', 'cloudwatch:GetMetricData'],
          },
          {
            ...{ Action: 'cloudwatch:PutMetricData', Effect: 'Allow', Resource: '*' },
            Condition: { StringEquals: { 'cloudwatch:namespace': 'InferencePlatform/Scaling' } },
          },
        ],
      },
    });
    expect(JSON.stringify(template.findResources('AWS::IAM::Policy'))).not.toContain('sqs:');
  });

  it('tells the function what an instance should carry, and where its gauges are', () => {
    const stack = newStack();
    const kvCacheUsage = new cloudwatch.Metric({ namespace: 'Gpu', metricName: 'kv', dimensionsMap: { Fleet: 'f' } });
    scaled(stack, { queue: true, settings: { tokensPerInstance: 9000, jobsPerSecond: 2.5, kvCacheUsage } });
    const template = Template.fromStack(stack);
    const [signal] = Object.values(
      template.findResources('AWS::Lambda::Function', { Properties: { ReservedConcurrentExecutions: 1 } }),
    );
    const { Variables } = (signal!.Properties as { Environment: { Variables: Record<string, unknown> } }).Environment;
    const text = JSON.stringify(stack.resolve(Variables.FLEETS)).replaceAll('\\"', '"');
    expect(text).toContain(
      '"rating":{"tokensPerInstance":9000,"jobsPerSecond":2.5,"drainSeconds":3600,"kvCacheTarget":80,"gpuTarget":70,"overload":"turnsAway"}',
    );
    expect(text).toContain('"metric":"nvidia_smi_utilization_gpu"');
    expect(text).toContain(
      '"kvCache":{"namespace":"Gpu","metric":"kv","dimensions":{"Fleet":"f"},"statistic":"Average","periodSeconds":60,"factor":100}',
    );
    expect(Variables.QUEUE_URL).toEqual({ Ref: expect.stringMatching('^JobsQueue') });
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: { Statement: Match.arrayWith([Match.objectLike({ Action: 'sqs:GetQueueAttributes' })]) },
    });
  });

  it('takes other paces', () => {
    const other = templateOf({
      settings: { scaleInAfter: Duration.minutes(30), scaleInInterval: Duration.minutes(15) },
      props: { period: Duration.seconds(60) },
    });
    expect(JSON.stringify(other.toJSON())).toContain('\\"holdSeconds\\":1800');
    other.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', { ScalingAdjustment: -1, Cooldown: '900' });
    other.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', {
      TargetTrackingConfiguration: {
        CustomizedMetricSpecification: { Metrics: [{ MetricStat: Match.objectLike({ Period: 60 }) }] },
      },
    });
  });

  it('tells the function that a full fleet refuses, and which zones one may be lost of', () => {
    const kept = templateOf({ fleet: { concurrencyControl: {} }, settings: { survivesZoneLoss: true } });
    expect(JSON.stringify(kept.toJSON())).toContain('\\"overload\\":\\"refuses\\",\\"zones\\":3');
  });

  it.each([
    [{ 'g6.xlarge': 1, 'g5.xlarge': 3 }, -1, '{"smallest":1,"largest":3,"step":1}'],
    [{ 'g6.xlarge': 4, 'g5.xlarge': 6 }, -2, '{"smallest":4,"largest":6,"step":2}'],
    [{ 'g6.xlarge': 12, 'g5.xlarge': 12 }, -12, '{"smallest":12,"largest":12,"step":12}'],
  ])('counts in units where instances have weights, and takes away what divides them: %j', (weights, step, units) => {
    const template = templateOf({ fleet: { instanceWeights: weights } });
    const policy = { PolicyType: 'SimpleScaling', ScalingAdjustment: step };
    template.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', policy);
    expect(JSON.stringify(template.toJSON()).replaceAll('\\"', '"')).toContain(`"units":${units}`);
  });

  it('bounds the admission of a fleet that is rated, unless it is told not to', () => {
    const overload = (settings: Given['settings']) =>
      /overload\\":\\"(\w+)/.exec(JSON.stringify(templateOf({ settings }).toJSON()))?.[1];
    expect(overload({})).toBe('queues');
    expect(overload({ tokensPerInstance: 9000 })).toBe('turnsAway');
    expect(overload({ tokensPerInstance: 9000, boundedAdmission: false })).toBe('queues');
  });

  it('stands twice in a stack', () => {
    const stack = newStack();
    for (const id of ['A', 'B']) scaled(stack, {}, id);
    Template.fromStack(stack).resourceCountIs('AWS::Events::Rule', 2);
  });
});

describe('a fleet that may have no instance', () => {
  it('is woken by waiting jobs, once, whether the signal works or not', () => {
    const template = templateOf({ fleet: { minCapacity: 0 }, settings: { jobsPerSecond: 1 }, queue: true });
    template.hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', { MinSize: '0', MaxSize: '1' });
    template.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', {
      ...{ PolicyType: 'StepScaling', AdjustmentType: 'ChangeInCapacity', EstimatedInstanceWarmup: 900 },
      StepAdjustments: [{ MetricIntervalLowerBound: 0, ScalingAdjustment: 1 }],
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmActions: [{ Ref: Match.stringLikeRegexp('Wake') }],
      Metrics: Match.arrayWith([
        Match.objectLike({ Expression: 'IF(wanted < 1, FILL(waiting, 0) + FILL(demand, 0), 0)' }),
      ]),
    });
  });

  it('is refused where nothing would wake it', () => {
    expect(() => templateOf({ fleet: { minCapacity: 0 } })).toThrow(
      'fleets["gpu"].jobsPerSecond must be given where minCapacity is 0, since waiting jobs wake the fleet, got none',
    );
  });
});

describe('a fleet that knows what comes', () => {
  it('is larger from the beginning of a peak to its end', () => {
    const peak = { name: 'Office', minCapacity: 5, timeZone: 'Europe/Berlin' };
    const [start, end] = [Schedule.cron({ hour: '7', minute: '30' }), Schedule.cron({ hour: '18', minute: '0' })];
    const template = templateOf({ settings: { peaks: [{ ...peak, start, end }] } });
    const action = { AutoScalingGroupName: GROUP, TimeZone: 'Europe/Berlin' };
    template.hasResourceProperties('AWS::AutoScaling::ScheduledAction', {
      ...{ ...action, MinSize: 5, Recurrence: '30 7 * * *' },
    });
    template.hasResourceProperties('AWS::AutoScaling::ScheduledAction', {
      ...{ ...action, MinSize: 2, Recurrence: '0 18 * * *' },
    });
  });

  it.each([PredictiveScaling.FORECAST_ONLY, PredictiveScaling.FORECAST_AND_SCALE])(
    'is forecast from the instances that its work asked for: %s',
    (predictiveScaling) => {
      const template = templateOf({ settings: { predictiveScaling }, fleet: { bootTime: Duration.minutes(6) } });
      const query = (metric: object, Stat: string) => ({
        MetricDataQueries: [{ MetricStat: { Metric: Match.objectLike(metric), Stat }, ReturnData: true }],
      });
      template.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', {
        PolicyType: 'PredictiveScaling',
        PredictiveScalingConfiguration: {
          ...{ Mode: predictiveScaling, SchedulingBufferTime: 360, MaxCapacityBreachBehavior: 'HonorMaxCapacity' },
          MetricSpecifications: [
            {
              TargetValue: 100,
              CustomizedLoadMetricSpecification: query({ MetricName: 'FleetDemand' }, 'Sum'),
              CustomizedScalingMetricSpecification: query({ MetricName: 'FleetLoad' }, 'Average'),
              CustomizedCapacityMetricSpecification: query({ MetricName: 'GroupInServiceCapacity' }, 'Average'),
            },
          ],
        },
      });
    },
  );
});

const SCHEDULE = Schedule.cron({ hour: '7' });
const PEAK = { name: 'Day', start: SCHEDULE, end: SCHEDULE, minCapacity: 3 };

it.each<[Given, string]>([
  [{ props: { fleets: {} } }, 'fleets must have 1 to 10 entries, got 0'],
  [{ props: { period: Duration.seconds(20) } }, 'period must be 10, 30 or 60 seconds, got 20'],
  [{ settings: { tokensPerInstance: 0 } }, 'fleets["gpu"].tokensPerInstance must be at least 1, got 0'],
  [{ settings: { tokensPerInstance: NaN } }, 'fleets["gpu"].tokensPerInstance must be at least 1, got NaN'],
  [
    { settings: { boundedAdmission: true } },
    'fleets["gpu"].boundedAdmission must go with tokensPerInstance, what one instance was measured to carry, got true',
  ],
  [{ settings: { jobsPerSecond: 0 }, queue: true }, 'fleets["gpu"].jobsPerSecond must be above 0, got 0'],
  [{ settings: { jobsPerSecond: 1 } }, 'fleets["gpu"].jobsPerSecond must go with a queue, got none'],
  [{ settings: { kvCacheTarget: 101 } }, 'fleets["gpu"].kvCacheTarget must be from 1 to 100 per cent, got 101'],
  [{ settings: { drainTime: Duration.seconds(0) } }, 'fleets["gpu"].drainTime must be at least 1 second, got 0'],
  [{ settings: { scaleInAfter: Duration.seconds(50) } }, 'scaleInAfter must be 1 minute to 24 hours, got 50 s'],
  [{ settings: { scaleInInterval: Duration.hours(25) } }, 'scaleInInterval must be at most 24 hours, got 90000 s'],
  [{ settings: { peaks: [PEAK, PEAK] } }, 'fleets["gpu"].peaks[1].name must be unique, got Day'],
  [
    { settings: { peaks: [{ ...PEAK, minCapacity: 7 }] } },
    'fleets["gpu"].peaks[0].minCapacity must be from minCapacity (2) to maxCapacity (6), got 7',
  ],
])('fleet scaling refuses %j', (given, message) => {
  expect(() => scaled(newStack(), given)).toThrow(message);
});
