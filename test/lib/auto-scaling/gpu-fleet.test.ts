import { describe, expect, it } from '@jest/globals';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as s3 from 'aws-cdk-lib/aws-s3';
import {
  Balancing,
  CapacityType,
  GpuFleet,
  type GpuFleetProps,
  ModelEndpoint,
  type ModelEndpointProps,
} from '../../../lib';
import { givenVpc, newStack, templateOf } from '../synthesise';

const MODEL = { model: 'Qwen/Qwen3-8B' };

function templateWith(props: Partial<GpuFleetProps> = {}) {
  return templateOf((stack) => new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer: MODEL, ...props }));
}

/** A fleet behind an endpoint. */
function behindEndpoint(stack: Stack, fleetProps: Partial<GpuFleetProps>, endpointProps: Partial<ModelEndpointProps>) {
  const vpc = givenVpc(stack);
  const endpoint = new ModelEndpoint(stack, 'Endpoint', { vpc, ...endpointProps });
  new GpuFleet(stack, 'Fleet', { vpc, modelServer: MODEL, ...fleetProps }).attachTo(endpoint.targetGroup);
}

const GROUP = 'AWS::AutoScaling::AutoScalingGroup';
const RESERVED = ['arn:aws:resource-groups:us-east-1:111122223333:group/gpus'];

describe('a GPU fleet', () => {
  const template = templateWith();

  it('spans the zones of its network, with a second instance type where the first has run out', () => {
    template.hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', {
      MinSize: '2',
      MaxSize: '6',
      HealthCheckType: 'ELB',
      HealthCheckGracePeriod: 120,
      VPCZoneIdentifier: [Match.anyValue(), Match.anyValue(), Match.anyValue()],
      MixedInstancesPolicy: {
        LaunchTemplate: { Overrides: [{ InstanceType: 'g6.xlarge' }, { InstanceType: 'g5.xlarge' }] },
      },
    });
  });

  it('launches a GPU image by its parameter, with IMDSv2 and encrypted volumes', () => {
    template.hasResourceProperties('AWS::EC2::LaunchTemplate', {
      LaunchTemplateData: {
        ImageId: Match.stringLikeRegexp('^resolve:ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver'),
        MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
        BlockDeviceMappings: [Match.objectLike({ Ebs: Match.objectLike({ Encrypted: true }) })],
      },
    });
  });

  it('is held at its GPU utilisation, measured every ten seconds', () => {
    template.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', {
      PolicyType: 'TargetTrackingScaling',
      TargetTrackingConfiguration: {
        TargetValue: 70,
        CustomizedMetricSpecification: {
          Metrics: [
            Match.objectLike({
              MetricStat: Match.objectLike({
                Metric: Match.objectLike({ MetricName: 'nvidia_smi_utilization_gpu' }),
                Period: 10,
              }),
            }),
          ],
        },
      },
    });
  });

  it('brings a new instance before an old one goes', () => {
    template.hasResource('AWS::AutoScaling::AutoScalingGroup', {
      UpdatePolicy: {
        AutoScalingInstanceRefresh: { Preferences: Match.objectLike({ MinHealthyPercentage: 100 }) },
      },
    });
  });

  it('may write metrics to its own namespace only', () => {
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Action: 'cloudwatch:PutMetricData',
            Condition: { StringEquals: { 'cloudwatch:namespace': 'InferencePlatform/Gpu' } },
          }),
        ]),
      },
    });
  });

  it('fills its volume from the snapshot at a set rate', () => {
    template.hasResourceProperties('AWS::EC2::LaunchTemplate', {
      LaunchTemplateData: {
        MetadataOptions: { InstanceMetadataTags: 'enabled' },
        BlockDeviceMappings: [{ Ebs: { VolumeType: 'gp3', VolumeInitializationRate: 300 } }],
      },
    });
  });

  it('holds an instance back until it answers, and at its end until it is empty', () => {
    const timed = templateWith({ bootTime: Duration.minutes(10), drainTime: Duration.minutes(3) });
    timed.hasResourceProperties(GROUP, {
      LifecycleHookSpecificationList: [
        {
          LifecycleHookName: 'launch',
          LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
          DefaultResult: 'ABANDON',
          HeartbeatTimeout: 720,
        },
        {
          LifecycleHookName: 'drain',
          LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
          DefaultResult: 'CONTINUE',
          HeartbeatTimeout: 300,
        },
      ],
    });
    expect(JSON.stringify(timed.toJSON())).toContain('BOOT_SECONDS=600\\nDRAIN_SECONDS=180');
  });

  it('completes hooks of groups with its tag only, and leaves its own target group only', () => {
    const behind = templateOf((stack) => behindEndpoint(stack, {}, {}));
    const tag = { 'Fn::Join': ['', [{ Ref: 'AWS::StackName' }, Match.stringLikeRegexp('^-')]] };
    behind.hasResourceProperties(GROUP, { Tags: Match.arrayWith([Match.objectLike({ Key: 'Fleet', Value: tag })]) });
    behind.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Action: 'autoscaling:CompleteLifecycleAction',
            Condition: { StringEquals: { 'aws:ResourceTag/Fleet': tag } },
          }),
          Match.objectLike({
            Action: 'elasticloadbalancing:DeregisterTargets',
            Resource: { Ref: Match.stringLikeRegexp('^EndpointTargets') },
          }),
        ]),
      },
    });
  });

  it('spreads evenly, keeps its size while instances are replaced, and follows a zonal shift', () => {
    template.hasResourceProperties(GROUP, {
      AvailabilityZoneDistribution: { CapacityDistributionStrategy: 'balanced-best-effort' },
      AvailabilityZoneImpairmentPolicy: { ZonalShiftEnabled: true, ImpairedZoneHealthCheckBehavior: 'IgnoreUnhealthy' },
      InstanceMaintenancePolicy: { MinHealthyPercentage: 100, MaxHealthyPercentage: 150 },
      CapacityRebalance: Match.absent(),
    });
  });

  it('rolls a refresh back when an alarm rings', () => {
    const alarmed = templateOf((stack) => {
      const alarm = cloudwatch.Alarm.fromAlarmArn(
        stack,
        'Errors',
        'arn:aws:cloudwatch:us-east-1:111122223333:alarm:errors',
      );
      new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer: MODEL, rollbackAlarms: [alarm] });
    });
    alarmed.hasResource(GROUP, {
      UpdatePolicy: {
        AutoScalingInstanceRefresh: {
          Preferences: Match.objectLike({ AlarmSpecification: { Alarms: ['errors'] }, BakeTime: 300 }),
        },
      },
    });
  });

  it('weighs its types by the tokens that they do', () => {
    templateWith({ instanceWeights: { 'g6.xlarge': 1, 'g5.xlarge': 2 } }).hasResourceProperties(GROUP, {
      MixedInstancesPolicy: {
        LaunchTemplate: {
          Overrides: [
            { InstanceType: 'g6.xlarge', WeightedCapacity: '1' },
            { InstanceType: 'g5.xlarge', WeightedCapacity: '2' },
          ],
        },
      },
    });
  });

  it('takes any type with given attributes', () => {
    const instanceRequirements = {
      vCpuCount: { min: 4 },
      memoryMiB: { min: 16_384 },
      acceleratorCount: { min: 1, max: 1 },
      acceleratorTotalMemoryMiB: { min: 22_000 },
    };
    templateWith({ instanceRequirements }).hasResourceProperties(GROUP, {
      MixedInstancesPolicy: {
        InstancesDistribution: { OnDemandAllocationStrategy: 'lowest-price' },
        LaunchTemplate: {
          Overrides: [{ InstanceRequirements: Match.objectLike({ AcceleratorCount: { Min: 1, Max: 1 } }) }],
        },
      },
    });
  });

  it('keeps its minimum on-demand and the rest on Spot, which is replaced before it goes', () => {
    templateWith({ capacityTypes: [CapacityType.ON_DEMAND, CapacityType.SPOT], minCapacity: 3 }).hasResourceProperties(
      GROUP,
      {
        CapacityRebalance: true,
        MixedInstancesPolicy: {
          InstancesDistribution: {
            OnDemandBaseCapacity: 3,
            OnDemandPercentageAboveBaseCapacity: 0,
            SpotAllocationStrategy: 'price-capacity-optimized',
          },
        },
      },
    );
  });

  it('climbs from reservations over capacity blocks to on-demand', () => {
    const { RESERVATION, CAPACITY_BLOCK, ON_DEMAND } = CapacityType;
    templateWith({
      capacityTypes: [RESERVATION, CAPACITY_BLOCK, ON_DEMAND],
      capacityReservationGroups: RESERVED,
    }).hasResourceProperties(GROUP, {
      MixedInstancesPolicy: {
        InstancesDistribution: {
          DistributionSegments: [
            { TargetCapacityTypes: ['on-demand-capacity-reservation', 'capacity-block', 'on-demand'] },
          ],
        },
      },
      CapacityReservationSpecification: {
        CapacityReservationPreference: 'capacity-reservations-first',
        CapacityReservationTarget: { CapacityReservationResourceGroupArns: RESERVED },
      },
    });
  });

  it('replaces instances one by one where there is nothing beyond what is reserved', () => {
    templateWith({
      capacityTypes: [CapacityType.CAPACITY_BLOCK],
      capacityReservationGroups: RESERVED,
    }).hasResourceProperties(GROUP, {
      InstanceMaintenancePolicy: { MinHealthyPercentage: 66, MaxHealthyPercentage: 100 },
      CapacityReservationSpecification: { CapacityReservationPreference: 'capacity-reservations-only' },
    });
  });

  it('keeps booted instances stopped, with what they hold on their volumes', () => {
    const warm = templateWith({ instanceTypes: [new ec2.InstanceType('g6.xlarge')], warmPool: {} });
    warm.hasResourceProperties('AWS::AutoScaling::WarmPool', {
      PoolState: 'Stopped',
      MinSize: 1,
      MaxGroupPreparedCapacity: 6,
    });
    warm.hasResourceProperties(GROUP, { MixedInstancesPolicy: Match.absent() });
    expect(JSON.stringify(warm.toJSON())).not.toContain('/opt/dlami/nvme');
  });

  it('reads its weights below their prefix, and nothing else of the bucket', () => {
    const weighed = templateOf((stack) => {
      const weightsBucket = s3.Bucket.fromBucketName(stack, 'Weights', 'weights');
      const modelServer = { ...MODEL, weightsBucket, weightsPrefix: 'qwen3-8b/' };
      new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer });
    });
    const arn = (rest: string) => ({ 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, `:s3:::weights${rest}`]] });
    weighed.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          { Effect: 'Allow', Action: 's3:GetObject', Resource: arn('/qwen3-8b/*') },
          {
            Effect: 'Allow',
            Action: 's3:ListBucket',
            Resource: arn(''),
            Condition: { StringLike: { 's3:prefix': 'qwen3-8b/*' } },
          },
        ]),
      },
    });
  });

  it('is looked at as often as target tracking can where it runs', () => {
    const slow = templateWith({ scalingPeriod: Duration.seconds(60) });
    const [policy] = Object.values(slow.findResources('AWS::AutoScaling::ScalingPolicy'));
    expect(JSON.stringify(policy)).toContain('"Period":60');
    expect(() => templateWith({ scalingPeriod: Duration.seconds(20) })).toThrow(
      'scalingPeriod must be 10, 30 or 60 seconds, got 20',
    );
  });

  it('lets the balancer reach the agent that bounds requests in flight, too', () => {
    const bounded = templateOf((stack) =>
      behindEndpoint(stack, { concurrencyControl: {} }, { balancing: Balancing.BOUNDED_CONCURRENCY }),
    );
    for (const port of [8000, 3000]) {
      bounded.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
        FromPort: port,
        SourceSecurityGroupId: { 'Fn::GetAtt': [Match.stringLikeRegexp('EndpointSecurityGroup'), 'GroupId'] },
      });
    }
    expect(JSON.stringify(bounded.toJSON())).toContain('TARGET_CONTROL_MAX_CONCURRENCY=256');
  });

  it.each<[Partial<GpuFleetProps>, Partial<ModelEndpointProps>]>([
    [{ concurrencyControl: {} }, {}],
    [{}, { balancing: Balancing.BOUNDED_CONCURRENCY }],
    [{ concurrencyControl: { controlPort: 3001 } }, { balancing: Balancing.BOUNDED_CONCURRENCY }],
  ])('refuses an endpoint that bounds requests otherwise than the fleet: %j, %j', (fleet, endpoint) => {
    expect(() => behindEndpoint(newStack(), fleet, endpoint)).toThrow(
      "concurrencyControl and the endpoint's balancing must agree",
    );
  });

  it('is reached by its load balancer only', () => {
    const behind = templateOf((stack) => {
      const vpc = givenVpc(stack);
      const endpoint = new ModelEndpoint(stack, 'Endpoint', { vpc });
      new GpuFleet(stack, 'Fleet', { vpc, modelServer: MODEL }).attachTo(endpoint.targetGroup);
    });
    behind.resourceCountIs('AWS::EC2::SecurityGroupIngress', 1);
    behind.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
      FromPort: 8000,
      SourceSecurityGroupId: { 'Fn::GetAtt': [Match.stringLikeRegexp('EndpointSecurityGroup'), 'GroupId'] },
    });
  });

  it('reads its token for licensed models from a secret, at boot', () => {
    const licensed = templateOf((stack) => {
      const huggingFaceToken = secretsmanager.Secret.fromSecretNameV2(stack, 'Token', 'hugging-face');
      new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer: { ...MODEL, huggingFaceToken } });
    });
    licensed.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([Match.objectLike({ Action: Match.arrayWith(['secretsmanager:GetSecretValue']) })]),
      },
    });
    expect(JSON.stringify(licensed.toJSON())).toContain('aws secretsmanager get-secret-value');
  });

  it('takes other instances and another size', () => {
    templateWith({
      instanceTypes: [new ec2.InstanceType('p5.48xlarge')],
      minCapacity: 1,
      maxCapacity: 2,
    }).hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', { MinSize: '1', MaxSize: '2' });
  });

  it.each<[Partial<GpuFleetProps>, string]>([
    [{ minCapacity: -1 }, 'minCapacity must be a whole number of at least 0, got -1'],
    [{ minCapacity: 0, maxCapacity: 0 }, 'maxCapacity must be a whole number of at least 1 and minCapacity (0), got 0'],
    [{ minCapacity: 4, maxCapacity: 3 }, 'maxCapacity must be a whole number of at least 1 and minCapacity (4), got 3'],
    [{ targetGpuUtilization: 0 }, 'targetGpuUtilization must be from 1 to 100 per cent, got 0'],
    [
      { minCapacity: 4, capacityWithoutZone: 3 },
      'minCapacity of 4 over 3 zones leaves 2 when one is lost, and capacityWithoutZone asks for 3: set minCapacity to at least 5',
    ],
    [
      {
        ...{ instanceTypes: [new ec2.InstanceType('p5.48xlarge')], instanceWeights: { 'p5.48xlarge': 12 } },
        ...{ minCapacity: 12, capacityWithoutZone: 8 },
      },
      'minCapacity of 12 over 3 zones leaves 0 when one, at worst full of the heaviest type, is lost, and capacityWithoutZone asks for 8: set minCapacity to at least 20',
    ],
    [
      { instanceWeights: { 'g6.xlarge': 1, 'g5.xlarge': 3 }, minCapacity: 3, capacityWithoutZone: 2 },
      'minCapacity of 3 over 3 zones leaves 0 when one, at worst full of the heaviest type, is lost, and capacityWithoutZone asks for 2: set minCapacity to at least 5',
    ],
    [{ minZones: 4 }, 'the subnets of the fleet must be in at least minZones (4) zones, got 3'],
    [{ bootTime: Duration.hours(2) }, 'bootTime must be from 1 minute to 1 hour 55 minutes, got 2 hours'],
    [{ drainTime: Duration.seconds(5) }, 'drainTime must be from 10 seconds to 1 hour 55 minutes, got 5 seconds'],
    [{ volumeInitializationRate: 50 }, 'volumeInitializationRate must be a whole number from 100 to 300 MiB/s, got 50'],
    [
      { instanceWeights: { 'g6.xlarge': 1 } },
      'instanceWeights must weigh each of instanceTypes, and "g5.xlarge" has none',
    ],
    [
      { instanceWeights: { 'g6.xlarge': 1, 'g5.xlarge': 2, 'p5.48xlarge': 9 } },
      'instanceWeights["p5.48xlarge"] must be one of instanceTypes (g6.xlarge, g5.xlarge)',
    ],
    [
      { instanceRequirements: { vCpuCount: { min: 4 }, memoryMiB: { min: 16_384 } } },
      'instanceRequirements.acceleratorCount.min must be at least 1, or instances without a GPU would match',
    ],
    [{ capacityTypes: [] }, 'capacityTypes must name each kind once, and at least one, got []'],
    [{ capacityTypes: [CapacityType.SPOT, CapacityType.ON_DEMAND] }, 'capacityTypes must have SPOT last'],
    [
      { capacityTypes: [CapacityType.RESERVATION, CapacityType.SPOT], capacityReservationGroups: RESERVED },
      'capacityTypes must have SPOT last and beside ON_DEMAND only',
    ],
    [{ capacityTypes: [CapacityType.SPOT] }, 'capacityTypes of SPOT alone needs onDemandBaseCapacity 0'],
    [
      { capacityTypes: [CapacityType.ON_DEMAND, CapacityType.RESERVATION], capacityReservationGroups: RESERVED },
      'capacityTypes must have ON_DEMAND after what is reserved',
    ],
    [{ capacityTypes: [CapacityType.CAPACITY_BLOCK] }, 'capacityReservationGroups is required'],
    [{ capacityReservationGroups: RESERVED }, 'capacityReservationGroups goes with RESERVATION'],
    [{ spotPercentage: 50 }, 'onDemandBaseCapacity and spotPercentage go with SPOT in capacityTypes'],
    [{ warmPool: {} }, 'warmPool needs exactly one of instanceTypes'],
    [
      {
        warmPool: {},
        instanceTypes: [new ec2.InstanceType('g6.xlarge')],
        capacityTypes: [CapacityType.ON_DEMAND, CapacityType.SPOT],
      },
      'warmPool needs capacityTypes of ON_DEMAND alone',
    ],
    [
      { concurrencyControl: { maxConcurrency: 0 } },
      'concurrencyControl.maxConcurrency must be a whole number from 1 to 1000, got 0',
    ],
    [{ modelServer: { ...MODEL, weightsPrefix: 'qwen/' } }, 'modelServer.weightsPrefix goes with weightsBucket'],
    [{ instanceTypes: [] }, 'instanceTypes must list at least one type'],
    [{ modelServer: { model: ' ' } }, 'modelServer.model and servedModelNames must not be empty'],
  ])('refuses %j', (props, message) => {
    const stack = newStack();
    expect(() => new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer: MODEL, ...props })).toThrow(message);
  });
});

it('goes down to no instance only where something wakes it', () => {
  expect(() => templateWith({ minCapacity: 0 })).toThrow('minCapacity may be 0 for a fleet of FleetScaling only');
});
