import { Aws, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { acknowledge, acknowledgeLint } from '../security/acknowledge';
import { bootScript } from './boot-script';
import type { FleetSettings } from './fleet-settings';
import type { ModelServer } from './model-server';

/** AWS Deep Learning Base AMI: NVIDIA driver, Docker with the NVIDIA runtime, Amazon Linux 2023. */
const GPU_IMAGE = '/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id';

const METRICS_NAMESPACE = 'InferencePlatform/Gpu';
const METRICS_INTERVAL = 10;

/** Properties of a GPU fleet. */
export interface GpuFleetProps extends FleetSettings {
  /** Network of the fleet; it is placed in the private subnets. */
  readonly vpc: ec2.IVpc;

  /**
   * Subnets of the fleet, in at least two zones.
   *
   * @default - the private subnets with egress
   */
  readonly vpcSubnets?: ec2.SubnetSelection;

  /**
   * Port on which the model server listens, with TLS.
   *
   * @default 8000
   */
  readonly port?: number;

  /**
   * Encrypts volumes and logs. Its policy must let EC2 and CloudWatch Logs use it, as `PlatformKey` does.
   *
   * @default - encrypted by the services' own keys
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * Topic that hears of each launch and termination, failed ones included.
   *
   * @default - a new topic
   */
  readonly notificationTopic?: sns.ITopic;

  /**
   * How long the model servers' logs are kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to the logs when they leave the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/** A group of GPU instances over several zones that serve one model and follow its load. */
export class GpuFleet extends Construct implements ec2.IConnectable, iam.IGrantable {
  /** The group. */
  public readonly group: autoscaling.AutoScalingGroup;

  /** The template that the instances are launched from. */
  public readonly launchTemplate: ec2.LaunchTemplate;

  /** The role of the instances. */
  public readonly role: iam.Role;

  /** The log of the model servers. */
  public readonly logGroup: logs.LogGroup;

  /** Topic that hears of each launch and termination. */
  public readonly notificationTopic: sns.ITopic;

  /** The least number of instances. */
  public readonly minCapacity: number;

  /** The greatest number of instances. */
  public readonly maxCapacity: number;

  /** Mean GPU utilisation that the fleet is held at where nothing better is known, in per cent. */
  public readonly targetGpuUtilization: number;

  /** How long an instance may take from its launch until the model answers. */
  public readonly bootTime: Duration;

  /** The policy that holds the fleet at its GPU utilisation. */
  public readonly utilizationPolicy: autoscaling.CfnScalingPolicy;

  public readonly connections: ec2.Connections;
  public readonly grantPrincipal: iam.IPrincipal;

  private isFollowed = false;

  /** Value of the `Fleet` dimension of the GPU metrics. */
  private readonly fleetName: string;

  constructor(scope: Construct, id: string, props: GpuFleetProps) {
    super(scope, id);
    const minCapacity = props.minCapacity ?? 2;
    const maxCapacity = props.maxCapacity ?? Math.max(1, 3 * minCapacity);
    const target = props.targetGpuUtilization ?? 70;
    validateProps(props, minCapacity, maxCapacity, target);
    this.minCapacity = minCapacity;
    this.maxCapacity = maxCapacity;
    this.targetGpuUtilization = target;
    this.bootTime = props.bootTime ?? Duration.minutes(15);
    this.node.addValidation({
      validate: () =>
        minCapacity === 0 && !this.isFollowed
          ? [
              'minCapacity may be 0 for a fleet of FleetScaling only, which wakes it: write at least 1, or scale it by that',
            ]
          : [],
    });

    this.fleetName = `${Aws.STACK_NAME}-${this.node.addr.slice(-8)}`;
    this.logGroup = new logs.LogGroup(this, 'Log', {
      encryptionKey: props.encryptionKey,
      retention: props.logRetention ?? logs.RetentionDays.THREE_MONTHS,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
    this.role = this.addRole(props.modelServer);
    this.grantPrincipal = this.role;
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Model servers: reached by their load balancer only',
    });
    this.connections = new ec2.Connections({ securityGroups: [securityGroup] });

    this.notificationTopic = props.notificationTopic ?? this.addTopic(props.encryptionKey);
    this.launchTemplate = this.addLaunchTemplate(props, securityGroup);
    const [preferred, ...others] = props.instanceTypes ?? defaultInstanceTypes();
    this.group = new autoscaling.AutoScalingGroup(this, 'Group', {
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      mixedInstancesPolicy: {
        launchTemplate: this.launchTemplate,
        launchTemplateOverrides: [preferred!, ...others].map((instanceType) => ({ instanceType })),
        instancesDistribution: {
          onDemandPercentageAboveBaseCapacity: 100,
          onDemandAllocationStrategy: autoscaling.OnDemandAllocationStrategy.PRIORITIZED,
        },
      },
      minCapacity,
      maxCapacity,
      healthChecks: autoscaling.HealthChecks.withAdditionalChecks({
        additionalTypes: [autoscaling.AdditionalHealthCheckType.ELB],
        gracePeriod: this.bootTime,
      }),
      defaultInstanceWarmup: Duration.minutes(1),
      groupMetrics: [autoscaling.GroupMetrics.all()],
      // A new instance serves before an old one leaves.
      updatePolicy: autoscaling.UpdatePolicy.instanceRefresh({
        strategy: autoscaling.InstanceRefreshStrategy.ROLLING,
        minHealthyPercentage: 100,
        maxHealthyPercentage: 150,
        skipMatching: true,
      }),
      notifications: [{ topic: this.notificationTopic, scalingEvents: autoscaling.ScalingEvents.ALL }],
    });
    acknowledgeLint(this.group, {
      E3016: 'AutoScalingInstanceRefresh is newer than the linter: CloudFormation takes it as an update policy.',
    });
    acknowledge(this.group, {
      'AwsSolutions-EC26':
        'The rule cannot follow the reference from a mixed-instances group to its launch template, where each volume is encrypted.',
    });
    this.utilizationPolicy = this.followGpuUtilization();
  }

  /**
   * Puts the instances behind a load balancer's target group, and lets that balancer, and nothing else, reach them.
   *
   * @param targetGroup a target group of HTTPS targets
   */
  public attachTo(targetGroup: elbv2.IApplicationTargetGroup): void {
    this.group.attachToApplicationTargetGroup(targetGroup);
  }

  /**
   * Makes the policy on GPU utilisation stand by: it holds the fleet only while a better signal is silent. As long as
   * that has data, the policy sees its own target, and wants nothing.
   *
   * @param signal the metric by which other policies scale the fleet; never below 0
   */
  public yieldTo(signal: cloudwatch.Metric): void {
    this.isFollowed = true;
    const { targetGpuUtilization: targetValue } = this;
    // By the minute: a gap of seconds between two rounds of the signal is no silence.
    const stat = (id: string, metric: cloudwatch.Metric) => ({
      id,
      returnData: false,
      metricStat: {
        metric: {
          namespace: metric.namespace,
          metricName: metric.metricName,
          dimensions: Object.entries(metric.dimensions ?? {}).map(([name, value]) => ({
            name,
            value: value as string,
          })),
        },
        stat: 'Average',
        period: 60,
      },
    });
    this.utilizationPolicy.targetTrackingConfiguration = {
      targetValue,
      customizedMetricSpecification: {
        metrics: [
          stat('utilization', this.metricGpuUtilization()),
          stat('signal', signal),
          { id: 'standby', expression: `IF(FILL(signal, -1) < 0, utilization, ${targetValue})`, returnData: true },
        ],
      },
    };
  }

  /** Mean GPU utilisation of the fleet, in per cent; needs no load balancer and no request. */
  public metricGpuUtilization(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.gpuMetric('nvidia_smi_utilization_gpu', props);
  }

  /** Highest GPU temperature in the fleet, in degrees Celsius. */
  public metricGpuTemperature(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.gpuMetric('nvidia_smi_temperature_gpu', { statistic: cloudwatch.Stats.MAXIMUM, ...props });
  }

  /** Instances in service. */
  public metricInService(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.groupMetric('GroupInServiceInstances', props);
  }

  /** Instances that the group wants to have. */
  public metricDesired(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.groupMetric('GroupDesiredCapacity', props);
  }

  private groupMetric(metricName: string, props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: 'AWS/AutoScaling',
      metricName,
      dimensionsMap: { AutoScalingGroupName: this.group.autoScalingGroupName },
      statistic: cloudwatch.Stats.MINIMUM,
      period: Duration.minutes(1),
      ...props,
    }).attachTo(this);
  }

  private gpuMetric(metricName: string, props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: METRICS_NAMESPACE,
      metricName,
      dimensionsMap: { Fleet: this.fleetName },
      statistic: cloudwatch.Stats.AVERAGE,
      period: Duration.minutes(1),
      ...props,
    }).attachTo(this);
  }

  /** Without a key, on the AWS-managed one, which lets the service-linked role of Auto Scaling publish. */
  private addTopic(encryptionKey?: kms.IKey): sns.Topic {
    const masterKey = encryptionKey ?? kms.Alias.fromAliasName(this, 'SnsKey', 'alias/aws/sns');
    return new sns.Topic(this, 'Notifications', { masterKey, enforceSSL: true });
  }

  private addRole(server: ModelServer): iam.Role {
    const role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
    this.logGroup.grantWrite(role);
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['cloudwatch:PutMetricData'],
        resources: ['*'],
        conditions: { StringEquals: { 'cloudwatch:namespace': METRICS_NAMESPACE } },
      }),
    );
    acknowledge(role, {
      'AwsSolutions-IAM5[Resource::*]':
        'PutMetricData has no resource-level permissions; a condition holds it to the namespace of the GPU metrics.',
    });
    server.huggingFaceToken?.grantRead(role);
    return role;
  }

  private addLaunchTemplate(props: GpuFleetProps, securityGroup: ec2.SecurityGroup): ec2.LaunchTemplate {
    return new ec2.LaunchTemplate(this, 'LaunchTemplate', {
      machineImage: props.machineImage ?? ec2.MachineImage.resolveSsmParameterAtLaunch(GPU_IMAGE),
      role: this.role,
      securityGroup,
      requireImdsv2: true,
      httpPutResponseHopLimit: 1,
      detailedMonitoring: true,
      blockDevices: [
        {
          deviceName: '/dev/xvda',
          volume: ec2.BlockDeviceVolume.ebs(props.volumeSize ?? 200, {
            volumeType: ec2.EbsDeviceVolumeType.GP3,
            throughput: 500,
            iops: 4000,
            encrypted: true,
            kmsKey: props.encryptionKey,
          }),
        },
      ],
      userData: ec2.UserData.custom(
        bootScript({
          server: props.modelServer,
          port: props.port ?? 8000,
          fleet: this.fleetName,
          namespace: METRICS_NAMESPACE,
          metricsInterval: METRICS_INTERVAL,
          logGroup: this.logGroup.logGroupName,
          region: Stack.of(this).region,
        }),
      ),
    });
  }

  /** The metric's period is set on the L1: the L2 drops it, and a minute's wait is a minute of queueing. */
  private followGpuUtilization(): autoscaling.CfnScalingPolicy {
    return new autoscaling.CfnScalingPolicy(this, 'FollowGpuUtilization', {
      autoScalingGroupName: this.group.autoScalingGroupName,
      policyType: 'TargetTrackingScaling',
      targetTrackingConfiguration: {
        targetValue: this.targetGpuUtilization,
        customizedMetricSpecification: {
          metrics: [
            {
              id: 'utilization',
              returnData: true,
              metricStat: {
                metric: {
                  namespace: METRICS_NAMESPACE,
                  metricName: 'nvidia_smi_utilization_gpu',
                  dimensions: [{ name: 'Fleet', value: this.fleetName }],
                },
                stat: 'Average',
                period: METRICS_INTERVAL,
              },
            },
          ],
        },
      },
    });
  }
}

function defaultInstanceTypes(): ec2.InstanceType[] {
  return [
    ec2.InstanceType.of(ec2.InstanceClass.G6, ec2.InstanceSize.XLARGE),
    ec2.InstanceType.of(ec2.InstanceClass.G5, ec2.InstanceSize.XLARGE),
  ];
}

function validateProps(props: GpuFleetProps, minCapacity: number, maxCapacity: number, target: number): void {
  if (!Number.isInteger(minCapacity) || minCapacity < 0) {
    throw new Error(`minCapacity must be a whole number of at least 0, got ${minCapacity}`);
  }
  if (!Number.isInteger(maxCapacity) || maxCapacity < Math.max(1, minCapacity)) {
    throw new Error(
      `maxCapacity must be a whole number of at least 1 and minCapacity (${minCapacity}), got ${maxCapacity}`,
    );
  }
  if (!(target >= 1 && target <= 100)) {
    throw new Error(`targetGpuUtilization must be from 1 to 100 per cent, got ${target}`);
  }
  if (props.instanceTypes?.length === 0) {
    throw new Error('instanceTypes must list at least one type, got none: leave it out for g6.xlarge and g5.xlarge');
  }
  const words = [props.modelServer.model, ...(props.modelServer.servedModelNames ?? [])];
  if (words.some((word) => word.trim() === '')) {
    throw new Error('modelServer.model and servedModelNames must not be empty');
  }
}
