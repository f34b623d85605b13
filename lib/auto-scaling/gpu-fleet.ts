import { Aws, Duration, Lazy, RemovalPolicy, Token } from 'aws-cdk-lib';
import type * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { MetricFamily } from '../handlers/metric-family';
import type { InstanceUnits } from '../policy/instance-units';
import { SCALING_DEFAULTS } from '../policy/scaling-defaults';
import { instanceUnits } from './capacity';
import { fleetGroup } from './fleet-group';
import { fleetLaunchTemplate } from './fleet-launch-template';
import { fleetRole } from './fleet-role';
import type { ConcurrencyControl, FleetSettings } from './fleet-settings';
import { followUtilization, followUtilizationWithout } from './utilization-policy';
import { validateFleet, validatePorts, validateZones } from './validate-fleet';

const METRICS_NAMESPACE = 'InferencePlatform/Gpu';
/** Of the agent's GPU metrics, in seconds. */
const METRICS_INTERVAL = 10;

const DEFAULT_BOOT_TIME = Duration.minutes(15);

/** Properties of a GPU fleet. */
export interface GpuFleetProps extends FleetSettings {
  /** Network of the fleet; it is placed in the private subnets. */
  readonly vpc: ec2.IVpc;

  /**
   * Subnets of the fleet, in at least `minZones` zones.
   *
   * @default - the private subnets with egress
   */
  readonly vpcSubnets?: ec2.SubnetSelection;

  /**
   * Port on which the load balancer reaches the model server, with TLS: the endpoint's `targetPort`. With
   * `concurrencyControl` the agent listens there, and the server on the next one.
   *
   * @default 8000
   */
  readonly port?: number;

  /**
   * How long requests in flight may go on, on an instance that leaves: at least the backend's total timeout, and that of
   * the endpoint's `deregistrationDelay`; 10 seconds to 115 minutes. When Spot takes an instance back, 100 seconds at most.
   *
   * @default Duration.minutes(5)
   */
  readonly drainTime?: Duration;

  /**
   * Alarms that stop an instance refresh and roll it back, such as one on errors of the endpoint's instances.
   *
   * @default - none: a refresh fails where new instances do not come into service
   */
  readonly rollbackAlarms?: cloudwatch.IAlarm[];

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

  /** The least number of instances, or of units with `instanceWeights`. */
  public readonly minCapacity: number;

  /** The greatest number of instances, or of units with `instanceWeights`. */
  public readonly maxCapacity: number;

  /** What its instances count for, in units of capacity: 1 each without `instanceWeights`. */
  public readonly instanceUnits: InstanceUnits;

  /** Mean GPU utilisation that the fleet is held at where nothing better is known, in per cent. */
  public readonly targetGpuUtilization: number;

  /** How long an instance may take from its launch until the model answers. */
  public readonly bootTime: Duration;

  /** The policy that holds the fleet at its GPU utilisation. */
  public readonly utilizationPolicy: autoscaling.CfnScalingPolicy;

  public readonly connections: ec2.Connections;
  public readonly grantPrincipal: iam.IPrincipal;

  /**
   * Name of the group, by which its instances know it, and value of the `Fleet` dimension of the metrics and of the tag
   * `Fleet`.
   */
  public readonly fleetName: string;

  private isFollowed = false;
  /** Whether a full instance refuses requests, in place of queueing them: the fleet has `concurrencyControl`. */
  public readonly refusesOverload: boolean;

  /** Zones that the fleet spans; the least that it must, where they are known at deployment only. */
  public readonly zones: number;

  private readonly gpuMetrics: MetricFamily;
  private readonly groupMetrics: MetricFamily;
  private readonly port: number;
  private readonly control?: Required<ConcurrencyControl>;
  private readonly targetGroupArns: string[] = [];

  constructor(scope: Construct, id: string, props: GpuFleetProps) {
    super(scope, id);
    this.minCapacity = props.minCapacity ?? 2;
    this.maxCapacity = props.maxCapacity ?? Math.max(1, 3 * this.minCapacity);
    this.targetGpuUtilization = props.targetGpuUtilization ?? SCALING_DEFAULTS.gpuTarget;
    this.bootTime = props.bootTime ?? DEFAULT_BOOT_TIME;
    const drainTime = props.drainTime ?? Duration.minutes(5);
    const { minCapacity, maxCapacity, targetGpuUtilization } = this;
    validateFleet(props, { minCapacity, maxCapacity, targetGpuUtilization }, drainTime);
    this.instanceUnits = instanceUnits(props);
    const vpcSubnets = props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS };
    this.zones = validateZones(props, props.vpc.selectSubnets(vpcSubnets).availabilityZones, minCapacity);
    this.port = props.port ?? 8000;
    this.control = props.concurrencyControl && withDefaults(props.concurrencyControl);
    validatePorts(this.port, this.control);
    this.refusesOverload = this.control !== undefined;
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
    this.role = fleetRole(this, {
      server: props.modelServer,
      images: [props.modelServer.image, this.control?.agentImage].filter((image) => image !== undefined),
      logGroup: this.logGroup,
      fleet: this.fleetName,
      namespace: METRICS_NAMESPACE,
    });
    this.grantPrincipal = this.role;
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Model servers: reached by their load balancer only',
    });
    this.connections = new ec2.Connections({ securityGroups: [securityGroup] });

    this.notificationTopic = props.notificationTopic ?? this.addTopic(props.encryptionKey);
    this.launchTemplate = fleetLaunchTemplate(this, props, {
      role: this.role,
      securityGroup,
      encryptionKey: props.encryptionKey,
      port: this.port,
      fleet: this.fleetName,
      namespace: METRICS_NAMESPACE,
      metricsInterval: METRICS_INTERVAL,
      logGroup: this.logGroup.logGroupName,
      targetGroups: Lazy.string({ produce: () => this.targetGroupArns.join(' ') }),
      bootTime: this.bootTime,
      drainTime,
      concurrency: this.control,
    });
    this.group = fleetGroup(this, props, {
      vpc: props.vpc,
      vpcSubnets,
      launchTemplate: this.launchTemplate,
      minCapacity,
      maxCapacity,
      bootTime: this.bootTime,
      drainTime,
      rollbackAlarms: props.rollbackAlarms,
      notificationTopic: this.notificationTopic,
      fleet: this.fleetName,
      role: this.role,
    });
    this.gpuMetrics = new MetricFamily(this, {
      namespace: METRICS_NAMESPACE,
      dimensions: { Fleet: this.fleetName },
      period: Duration.minutes(1),
    });
    this.groupMetrics = new MetricFamily(this, {
      namespace: 'AWS/AutoScaling',
      dimensions: { AutoScalingGroupName: this.group.autoScalingGroupName },
      period: Duration.minutes(1),
    });
    this.utilizationPolicy = followUtilization(this, {
      group: this.group,
      utilization: this.metricGpuUtilization(),
      targetValue: targetGpuUtilization,
      period: props.scalingPeriod ?? Duration.seconds(METRICS_INTERVAL),
    });
  }

  /**
   * Puts the instances behind a load balancer's target group, and lets that balancer, and nothing else, reach them.
   *
   * @param targetGroup a target group of HTTPS targets
   * @throws where the target group sends to another port than the fleet's, or where one of the two bounds the requests in
   * flight and the other does not
   */
  public attachTo(targetGroup: elbv2.IApplicationTargetGroup): void {
    const resource = targetGroup.node.defaultChild as elbv2.CfnTargetGroup | undefined;
    const { port, targetControlPort } = resource ?? {};
    if (port !== undefined && port !== this.port && !Token.isUnresolved(port) && !Token.isUnresolved(this.port)) {
      throw new Error(
        `port of the fleet (${this.port}) and of the target group (${port}) must agree, or no instance passes the health check: give the fleet the targetPort of its endpoint`,
      );
    }
    if (resource && targetControlPort !== this.control?.controlPort) {
      throw new Error(
        `concurrencyControl and the endpoint's balancing must agree: the fleet's control port is ${this.control?.controlPort ?? 'none'}, the target group's is ${targetControlPort ?? 'none'}; give the fleet concurrencyControl and the endpoint Balancing.BOUNDED_CONCURRENCY, or neither`,
      );
    }
    this.group.attachToApplicationTargetGroup(targetGroup);
    if (this.control) targetGroup.registerConnectable(this, ec2.Port.tcp(this.control.controlPort));
    this.targetGroupArns.push(targetGroup.targetGroupArn);
    this.role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['elasticloadbalancing:DeregisterTargets'],
        resources: [targetGroup.targetGroupArn],
      }),
    );
  }

  /**
   * Makes the policy on GPU utilisation stand by: it holds the fleet only while a better signal is silent. As long as
   * that has data, the policy sees its own target, and wants nothing.
   *
   * @param signal the metric by which other policies scale the fleet; never below 0
   */
  public yieldTo(signal: cloudwatch.Metric): void {
    this.isFollowed = true;
    this.utilizationPolicy.targetTrackingConfiguration = followUtilizationWithout(signal, {
      utilization: this.metricGpuUtilization(),
      targetValue: this.targetGpuUtilization,
    });
  }

  /** Mean GPU utilisation of the fleet, in per cent; needs no load balancer and no request. */
  public metricGpuUtilization(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.gpuMetrics.average('nvidia_smi_utilization_gpu', props);
  }

  /** Highest GPU temperature in the fleet, in degrees Celsius. */
  public metricGpuTemperature(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.gpuMetrics.maximum('nvidia_smi_temperature_gpu', props);
  }

  /** Mean share of the engines' key-value cache in use, 0 to 1; once a minute. */
  public metricKvCacheUsage(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.gpuMetrics.average('vllm:kv_cache_usage_perc', props);
  }

  /** Mean of requests that an instance computes; once a minute. */
  public metricRunningRequests(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.gpuMetrics.average('vllm:num_requests_running', props);
  }

  /** Mean of requests that wait inside an instance; once a minute. */
  public metricWaitingRequests(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.gpuMetrics.average('vllm:num_requests_waiting', props);
  }

  /** Instances in service. */
  public metricInService(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.groupMetrics.minimum('GroupInServiceInstances', props);
  }

  /** What is in service, in units of capacity; as many as there are instances without `instanceWeights`. */
  public metricInServiceCapacity(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.groupMetrics.minimum('GroupInServiceCapacity', props);
  }

  /** What the group wants to have, in units of capacity; instances without `instanceWeights`. */
  public metricDesired(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.groupMetrics.minimum('GroupDesiredCapacity', props);
  }

  /** Without a key, on the AWS-managed one, which lets the service-linked role of Auto Scaling publish. */
  private addTopic(encryptionKey?: kms.IKey): sns.Topic {
    const masterKey = encryptionKey ?? kms.Alias.fromAliasName(this, 'SnsKey', 'alias/aws/sns');
    return new sns.Topic(this, 'Notifications', { masterKey, enforceSSL: true });
  }
}

function withDefaults(control: ConcurrencyControl): Required<ConcurrencyControl> {
  return {
    maxConcurrency: control.maxConcurrency ?? 256,
    controlPort: control.controlPort ?? 3000,
    agentImage: control.agentImage ?? 'public.ecr.aws/aws-elb/target-optimizer/target-control-agent:latest',
  };
}
