import { Duration, type RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { HandlerFunction } from '../handlers/handler-function';
import type { IResponseCache } from '../handlers/interfaces';
import { SCALING_DEFAULTS } from '../policy/scaling-defaults';
import { acknowledge } from '../security/acknowledge';
import { FleetPolicies } from './fleet-policies';
import type { GpuFleet } from './gpu-fleet';
import type { FleetScalingSettings } from './scaling-settings';
import { validateScalingPeriod } from './validate-fleet';

const NAMESPACE = 'InferencePlatform/Scaling';

/** No request waits for a round: the store gets its time. */
const STORE_TIMEOUT_MS = 2000;

/** What is said of each fleet must fit into the 4 kB of a function's environment. */
const MOST_FLEETS = 10;

/** The driver's own metrics come in high resolution. */
const GAUGE_SECONDS = 10;

/** What is scraped of the model server comes in standard resolution, which CloudWatch gives by the minute. */
const SCRAPED_SECONDS = 60;

/** A fleet, and how it follows its work. */
export interface ScaledFleet extends FleetScalingSettings {
  /** The fleet. */
  readonly fleet: GpuFleet;

  /**
   * Mean usage of the fleet's KV caches, 0 to 1 as vLLM reports it (`vllm:kv_cache_usage_perc`): a plain metric. It is
   * read by the minute; a shorter period of it is kept, and is for a metric of high resolution.
   *
   * @default - not known: tokens and jobs alone scale the fleet
   */
  readonly kvCacheUsage?: cloudwatch.Metric;
}

/** Properties of fleet scaling. */
export interface FleetScalingProps {
  /** The fleets, 1 to 10, by the names of their backends in the policy: so the store knows what they have in progress. */
  readonly fleets: Record<string, ScaledFleet>;

  /** Network of the function: that of the store. */
  readonly vpc: ec2.IVpc;

  /** The store that counts the tokens in progress. */
  readonly store: IResponseCache;

  /**
   * Queue whose waiting jobs scale the fleets with `jobsPerSecond`, each as if all were its own.
   *
   * @default - none
   */
  readonly queue?: sqs.IQueue;

  /**
   * How often Auto Scaling looks at the load: 10, 30 or 60 seconds. Below 60 in the regions where target tracking takes
   * high-resolution metrics.
   *
   * @default Duration.seconds(10)
   */
  readonly period?: Duration;

  /**
   * Namespace of the metrics.
   *
   * @default 'InferencePlatform/Scaling'
   */
  readonly metricsNamespace?: string;

  /**
   * Encrypts the log and the environment. Its policy must let CloudWatch Logs use it, as `PlatformKey` does.
   *
   * @default - encrypted by the services' own keys
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long the log is kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to the log when it leaves the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * Scales fleets on real work: a function that reads tokens in progress, waiting jobs, KV caches and GPUs each ten
 * seconds and publishes each fleet's load, and the policies that follow it.
 */
export class FleetScaling extends Construct implements iam.IGrantable, ec2.IConnectable {
  /** The function that publishes the loads, and its parts. */
  public readonly handler: HandlerFunction;

  /** What runs it, each minute. */
  public readonly schedule: events.Rule;

  /** The policies of each fleet, by backend. */
  public readonly policies: Record<string, FleetPolicies> = {};

  public readonly grantPrincipal: iam.IPrincipal;
  public readonly connections: ec2.Connections;

  constructor(scope: Construct, id: string, props: FleetScalingProps) {
    super(scope, id);
    const period = props.period ?? Duration.seconds(SCALING_DEFAULTS.periodSeconds);
    validateProps(props, period);
    const metricsNamespace = props.metricsNamespace ?? NAMESPACE;
    const queue = Object.values(props.fleets).some(({ jobsPerSecond }) => jobsPerSecond !== undefined)
      ? props.queue
      : undefined;

    this.handler = new HandlerFunction(this, 'Handler', {
      handler: 'scaling-signal',
      description: 'Publishes the load of the fleets each ten seconds',
      vpc: props.vpc,
      environment: {
        STORE_URL: props.store.url,
        ...(props.store.userName && { STORE_USER: props.store.userName }),
        ...(props.store.cacheName && { STORE_CACHE_NAME: props.store.cacheName }),
        STORE_TIMEOUT_MS: String(STORE_TIMEOUT_MS),
        STORE_CONNECT_TIMEOUT_MS: String(STORE_TIMEOUT_MS),
        METRICS_NAMESPACE: metricsNamespace,
        FLEETS: Stack.of(this).toJsonString(Object.entries(props.fleets).map(fleetForHandler)),
        ...(queue && {
          QUEUE_URL: queue.queueUrl,
          OLDEST_JOB: Stack.of(this).toJsonString(
            sourceOf(queue.metricApproximateAgeOfOldestMessage({ statistic: 'Maximum' }), 60),
          ),
        }),
      },
      // One invocation a minute makes the rounds of that minute, and a second one beside it would only double them.
      timeout: Duration.minutes(1),
      reservedConcurrency: 1,
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    this.grantPrincipal = this.handler.grantPrincipal;
    this.connections = this.handler.connections;
    this.schedule = this.addSchedule();

    props.store.grantConnect(this);
    this.connections.allowToDefaultPort(props.store, 'Store of tokens in progress');
    this.connections.allowToAnyIpv4(ec2.Port.tcp(443), 'CloudWatch, Auto Scaling and SQS');
    queue?.grant(this, 'sqs:GetQueueAttributes');
    this.grantSignal(metricsNamespace);

    for (const [name, { kvCacheUsage: _, ...settings }] of Object.entries(props.fleets)) {
      this.policies[name] = new FleetPolicies(this, name, {
        ...settings,
        metricsNamespace,
        period,
        ...(settings.jobsPerSecond !== undefined && { queue }),
      });
    }
  }

  /** Invocations of the function that published nothing. */
  public metricErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.handler.function.metricErrors(props);
  }

  /** A late or failed minute is not made up for: the next one knows better. */
  private addSchedule(): events.Rule {
    const once = { retryAttempts: 0, maxEventAge: Duration.minutes(1) };
    this.handler.function.configureAsyncInvoke(once);
    return new events.Rule(this, 'EachMinute', {
      description: 'Publishes the load of the fleets',
      schedule: events.Schedule.rate(Duration.minutes(1)),
      targets: [new targets.LambdaFunction(this.handler.function, once)],
    });
  }

  /** Apart from the function's other permissions, so that what is acknowledged here covers nothing else. */
  private grantSignal(namespace: string): void {
    const policy = new iam.Policy(this, 'SignalPolicy', {
      roles: [this.handler.role],
      statements: [
        new iam.PolicyStatement({
          actions: ['cloudwatch:GetMetricData', 'autoscaling:DescribeAutoScalingGroups'],
          resources: ['*'],
        }),
        new iam.PolicyStatement({
          actions: ['cloudwatch:PutMetricData'],
          resources: ['*'],
          conditions: { StringEquals: { 'cloudwatch:namespace': namespace } },
        }),
      ],
    });
    acknowledge(policy, {
      'AwsSolutions-IAM5[Resource::*]':
        'Reading metrics and groups, and PutMetricData, have no resource-level permissions; a condition holds what is written to the namespace of the loads.',
    });
  }
}

/** A fleet as the handler reads it: lambda/auto-scaling/scaled-fleet.ts. */
function fleetForHandler([backend, scaled]: [string, ScaledFleet]): object {
  const { fleet, kvCacheUsage } = scaled;
  const kvPeriod = Math.min(SCRAPED_SECONDS, kvCacheUsage?.period.toSeconds() ?? SCRAPED_SECONDS);
  return {
    backend,
    group: fleet.group.autoScalingGroupName,
    rating: {
      tokensPerInstance: scaled.tokensPerInstance ?? SCALING_DEFAULTS.tokensPerInstance,
      jobsPerSecond: scaled.jobsPerSecond,
      drainSeconds: scaled.drainTime?.toSeconds() ?? SCALING_DEFAULTS.drainSeconds,
      kvCacheTarget: scaled.kvCacheTarget ?? SCALING_DEFAULTS.kvCacheTarget,
      gpuTarget: fleet.targetGpuUtilization,
      overload: overloadOf(scaled),
      zones: scaled.survivesZoneLoss ? fleet.zones : undefined,
      holdSeconds: scaled.scaleInAfter?.toSeconds(),
      units: fleet.instanceUnits.largest > 1 ? fleet.instanceUnits : undefined,
    },
    gpu: sourceOf(fleet.metricGpuUtilization(), GAUGE_SECONDS),
    ...(kvCacheUsage && { kvCache: { ...sourceOf(kvCacheUsage, kvPeriod), factor: 100 } }),
  };
}

/** The law's word for what becomes of requests that come to a full fleet. */
function overloadOf({ fleet, tokensPerInstance, boundedAdmission }: ScaledFleet): string {
  if (boundedAdmission ?? tokensPerInstance !== undefined) return 'turnsAway';
  return fleet.refusesOverload ? 'refuses' : 'queues';
}

function sourceOf(metric: cloudwatch.Metric, periodSeconds: number): object {
  const { namespace, metricName, dimensions, statistic } = metric;
  return { namespace, metric: metricName, dimensions: dimensions ?? {}, statistic, periodSeconds };
}

function validateProps({ fleets, queue }: FleetScalingProps, period: Duration): void {
  const names = Object.keys(fleets);
  if (names.length < 1 || names.length > MOST_FLEETS) {
    throw new Error(
      `fleets must have 1 to ${MOST_FLEETS} entries, got ${names.length}: scale the others by another one`,
    );
  }
  validateScalingPeriod('period', period);
  for (const [name, scaled] of Object.entries(fleets)) validateFleet(`fleets["${name}"]`, scaled, queue);
}

function validateFleet(path: string, scaled: ScaledFleet, queue: sqs.IQueue | undefined): void {
  const { fleet, tokensPerInstance, jobsPerSecond, drainTime, kvCacheTarget, peaks = [] } = scaled;
  const refuse = (field: string, must: string, value: unknown) => {
    throw new Error(`${path}.${field} must ${must}, got ${String(value)}`);
  };
  const isBelow = (value: number | undefined, least: number) =>
    value !== undefined && !Token.isUnresolved(value) && !(value >= least && Number.isFinite(value));
  if (isBelow(tokensPerInstance, 1)) refuse('tokensPerInstance', 'be at least 1', tokensPerInstance);
  if (scaled.boundedAdmission && tokensPerInstance === undefined) {
    refuse('boundedAdmission', 'go with tokensPerInstance, what one instance was measured to carry', true);
  }
  if (isBelow(jobsPerSecond, Number.MIN_VALUE)) refuse('jobsPerSecond', 'be above 0', jobsPerSecond);
  if (jobsPerSecond !== undefined && !queue) refuse('jobsPerSecond', 'go with a queue', 'none');
  if (isBelow(drainTime?.toSeconds(), 1)) refuse('drainTime', 'be at least 1 second', drainTime?.toSeconds());
  if (isBelow(kvCacheTarget, 1) || (kvCacheTarget ?? 1) > 100) {
    refuse('kvCacheTarget', 'be from 1 to 100 per cent', kvCacheTarget);
  }
  validateScaleIn(scaled, refuse);
  if (scaled.survivesZoneLoss && fleet.zones < 2) {
    refuse('survivesZoneLoss', 'be left out for a fleet in a single zone', true);
  }
  if (fleet.minCapacity === 0 && jobsPerSecond === undefined) {
    refuse('jobsPerSecond', 'be given where minCapacity is 0, since waiting jobs wake the fleet', 'none');
  }
  for (const [i, { name, minCapacity }] of peaks.entries()) {
    if (peaks.findIndex((other) => other.name === name) !== i) refuse(`peaks[${i}].name`, 'be unique', name);
    if (!(minCapacity >= fleet.minCapacity && minCapacity <= fleet.maxCapacity)) {
      const bounds = `be from minCapacity (${fleet.minCapacity}) to maxCapacity (${fleet.maxCapacity})`;
      refuse(`peaks[${i}].minCapacity`, bounds, minCapacity);
    }
  }
}

function validateScaleIn(
  { scaleInAfter, scaleInInterval }: FleetScalingSettings,
  refuse: (field: string, must: string, value: unknown) => void,
): void {
  const DAY = 86_400;
  const after = scaleInAfter?.toSeconds() ?? 60;
  if (after < 60 || after > DAY) refuse('scaleInAfter', 'be 1 minute to 24 hours', `${after} s`);
  const interval = scaleInInterval?.toSeconds() ?? 0;
  if (interval < 0 || interval > DAY) refuse('scaleInInterval', 'be at most 24 hours', `${interval} s`);
}
