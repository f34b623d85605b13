import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { FleetScaling, type ScaledFleet } from '../auto-scaling/fleet-scaling';
import { GpuFleet } from '../auto-scaling/gpu-fleet';
import { ModelTask } from '../auto-scaling/model-server';
import type { FleetScalingSettings } from '../auto-scaling/scaling-settings';
import { ResponseCache } from '../caching/response-cache';
import { BreakerControl } from '../circuit-breaking/breaker-control';
import type { DataPipeline } from '../data-pipeline/data-pipeline';
import type { FeatureStore } from '../data-pipeline/feature-store';
import type { Retrieval } from '../data-pipeline/retrieval';
import type { EmbeddingFunction } from '../gateway/embedding-function';
import { InferenceApi } from '../gateway/inference-api';
import { EndpointCertificate } from '../load-balancing/endpoint-certificate';
import { Balancing } from '../load-balancing/balancing';
import type { FunctionEndpoint } from '../load-balancing/function-endpoint';
import { ModelEndpoint } from '../load-balancing/model-endpoint';
import { DataAlarms } from '../observability/data-alarms';
import { PlatformAlarms } from '../observability/platform-alarms';
import { PlatformDashboard } from '../observability/platform-dashboard';
import { resolvePolicy } from '../policy/defaults';
import type { Backend } from '../policy/backend';
import { isFleet } from '../policy/fleet-backends';
import { ModelKind } from '../policy/model';
import type { InferencePolicy } from '../policy/policy';
import { assertValidPolicy } from '../policy/validate';
import { BatchJobs } from '../queueing/batch-jobs';
import type { JobQueue } from '../queueing/job-queue';
import { RatePlans } from '../rate-limiting/rate-plans';
import { LogBucket } from '../security/log-bucket';
import { PlatformKey } from '../security/platform-key';
import { PlatformNetwork } from '../security/platform-network';
import { PlatformData } from './platform-data';
import type { PlatformFeatureSettings, PlatformPipelineSettings } from './platform-data-settings';
import type { PlatformFleetSettings } from './platform-fleet-settings';
import { rollbackAlarm } from './rollback-alarm';
import { dataBackends, dataFaults } from './validate-data';

/** Properties of an inference platform. */
export interface InferencePlatformProps {
  /** Plans, tenants, backends, models and rules: what the platform is. */
  readonly policy: InferencePolicy;

  /**
   * The fleets of the backends that have neither `url` nor `bedrock` in the policy, by the backend's name.
   *
   * @default - every backend has a url, is of Bedrock, or is answered by a pipeline's index or a feature store
   */
  readonly fleets?: Record<string, PlatformFleetSettings>;

  /**
   * How the fleets follow their work, by the backend's name.
   *
   * @default - each by the defaults of `FleetScalingSettings`
   */
  readonly scaling?: Record<string, FleetScalingSettings>;

  /**
   * Data pipelines, by a name. One with a `backend` of the policy answers a service from the index that it publishes; it
   * embeds by the platform's own models, below live traffic.
   *
   * @default - none
   */
  readonly dataPipelines?: Record<string, PlatformPipelineSettings>;

  /**
   * Feature stores, by a name. One with a `backend` of the policy answers a service.
   *
   * @default - none
   */
  readonly featureStores?: Record<string, PlatformFeatureSettings>;

  /**
   * How often Auto Scaling looks at the fleets' load: 10, 30 or 60 seconds. Below 60 in the regions where target tracking
   * takes high-resolution metrics.
   *
   * @default Duration.seconds(10)
   */
  readonly scalingPeriod?: Duration;

  /**
   * Network to build in. It needs private subnets with egress in at least two zones, and should have gateway endpoints
   * for S3 and DynamoDB.
   *
   * @default - a new `PlatformNetwork` over three zones
   */
  readonly vpc?: ec2.IVpc;

  /**
   * Key that encrypts everything that is stored. The platform adds to its policy what AWS services need (see
   * `PlatformKey.allowServices`); the policy of an imported key must allow that already.
   *
   * @default - a new `PlatformKey`
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * Topic that hears of alarms. If it is encrypted, its key must let CloudWatch use it.
   *
   * @default - a new topic, encrypted by `encryptionKey`
   */
  readonly alarmTopic?: sns.ITopic;

  /**
   * Bus that hears of breakers that change their state.
   *
   * @default - the account's default bus
   */
  readonly eventBus?: events.IEventBus;

  /**
   * Node type of the store.
   *
   * @default 'cache.m7g.large'
   */
  readonly cacheNodeType?: string;

  /**
   * Nodes of the store, 2 to 6.
   *
   * @default 3
   */
  readonly cacheNodes?: number;

  /**
   * Whether to make the account-wide role by which API Gateway writes its logs.
   *
   * @default true
   */
  readonly cloudWatchRole?: boolean;

  /**
   * Whether load balancers refuse to be deleted.
   *
   * @default - true, unless `removalPolicy` is DESTROY
   */
  readonly deletionProtection?: boolean;

  /**
   * How long logs are kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to key, files and books of batches, data, and logs when they leave the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * The whole platform from one policy: entry, limits, cache, background work, a fleet behind a load balancer for each backend
 * without an address of its own, alarms and a dashboard.
 */
export class InferencePlatform extends Construct {
  /** Encrypts everything that is stored. */
  public readonly encryptionKey: kms.IKey;

  /** The network. */
  public readonly vpc: ec2.IVpc;

  /** The entry. */
  public readonly api: InferenceApi;

  /** Reads the gateway's breakers for operators, and overrides them. */
  public readonly breakerControl: BreakerControl;

  /** Usage plans and API keys. */
  public readonly ratePlans: RatePlans;

  /** Store of limits, breaker states and cached answers. */
  public readonly cache: ResponseCache;

  /** Batches and single jobs, next to interactive requests. */
  public readonly batchJobs: BatchJobs;

  /** Items of background work that wait: `batchJobs.work`. */
  public readonly jobQueue: JobQueue;

  /** Load balancers of the backends, by the backend's name. */
  public readonly endpoints: Record<string, ModelEndpoint> = {};

  /** Fleets of the backends, by the backend's name. */
  public readonly fleets: Record<string, GpuFleet> = {};

  /** Data pipelines, by their name. */
  public readonly dataPipelines: Record<string, DataPipeline>;

  /** What answers queries from the pipelines' published indexes, by the pipeline's name. */
  public readonly retrievals: Record<string, Retrieval>;

  /** Feature stores, by their name. */
  public readonly featureStores: Record<string, FeatureStore>;

  /** Load balancers of retrievals and feature stores, by the backend's name. */
  public readonly serviceEndpoints: Record<string, FunctionEndpoint>;

  /**
   * Embeds for the pipelines as the gateway does for clients.
   *
   * @default - no pipeline embeds
   */
  public readonly embeddings?: EmbeddingFunction;

  /**
   * Alarms on pipelines and feature stores.
   *
   * @default - there are none of them
   */
  public readonly dataAlarms?: DataAlarms;

  /**
   * Scales the fleets on real work.
   *
   * @default - the policy needs no fleet
   */
  public readonly fleetScaling?: FleetScaling;

  /** Topic that hears of alarms. */
  public readonly alarmTopic: sns.ITopic;

  /** The alarms. */
  public readonly alarms: PlatformAlarms;

  /** The dashboard. */
  public readonly dashboard: PlatformDashboard;

  private certificate: EndpointCertificate | undefined;

  constructor(scope: Construct, id: string, props: InferencePlatformProps) {
    super(scope, id);
    assertValidPolicy(props.policy, { plainKeysAllowed: false });
    const { dataPipelines = {}, featureStores = {} } = props;
    validateParts(props, dataPipelines, featureStores);
    const removalPolicy = props.removalPolicy ?? RemovalPolicy.RETAIN;

    this.encryptionKey = props.encryptionKey ?? new PlatformKey(this, 'Key', { removalPolicy });
    if (props.encryptionKey) PlatformKey.allowServices(props.encryptionKey);
    const stored = { encryptionKey: this.encryptionKey, logRetention: props.logRetention, removalPolicy };

    this.vpc = props.vpc ?? new PlatformNetwork(this, 'Network', stored).vpc;
    this.alarmTopic = props.alarmTopic ?? this.addTopic();
    this.cache = new ResponseCache(this, 'Cache', {
      vpc: this.vpc,
      nodeType: props.cacheNodeType,
      nodes: props.cacheNodes,
      ...stored,
    });
    const logBucket = new LogBucket(this, 'AccessLogs');
    this.addFleets(props, logBucket, removalPolicy);
    const data = new PlatformData(this, {
      ...{ dataPipelines, featureStores, logBucket, removalPolicy, vpc: this.vpc, cache: this.cache },
      ...{ encryptionKey: this.encryptionKey, logRetention: props.logRetention },
      endpointCertificate: () => this.endpointCertificate(props),
      deletionProtection: isDeletionProtected(props),
    });
    this.dataPipelines = data.pipelines;
    this.retrievals = data.retrievals;
    this.featureStores = data.featureStores;
    this.serviceEndpoints = data.endpoints;
    this.embeddings = data.embedder;
    this.api = new InferenceApi(this, 'Api', {
      policy: props.policy,
      vpc: this.vpc,
      store: this.cache,
      endpoints: { ...this.endpoints, ...this.serviceEndpoints },
      eventBus: props.eventBus,
      cloudWatchRole: props.cloudWatchRole,
      ...stored,
    });
    this.embeddings?.embedBy(this.api);
    const { policyLayer, serviceName, metricsNamespace, eventBus } = this.api.inference;
    this.breakerControl = new BreakerControl(this, 'BreakerControl', {
      policyLayer,
      vpc: this.vpc,
      store: this.cache,
      serviceName,
      metricsNamespace,
      eventBus,
      ...stored,
    });
    this.ratePlans = new RatePlans(this, 'RatePlans', {
      policy: props.policy,
      restApi: this.api.restApi,
      tenants: this.api.tenants,
      ...stored,
    });
    this.batchJobs = new BatchJobs(this, 'BatchJobs', { gateway: this.api, logBucket, ...stored });
    this.jobQueue = this.batchJobs.work;
    this.fleetScaling = this.addScaling(props);
    const parts = {
      api: this.api,
      cache: this.cache,
      batchJobs: this.batchJobs,
      endpoints: this.endpoints,
      fleets: this.fleets,
      scaling: this.fleetScaling,
    };
    this.alarms = new PlatformAlarms(this, 'Watch', { topic: this.alarmTopic, ...parts });
    if (Object.keys({ ...this.dataPipelines, ...this.featureStores }).length > 0) {
      this.dataAlarms = new DataAlarms(this, 'DataWatch', {
        topic: this.alarmTopic,
        pipelines: this.dataPipelines,
        featureStores: this.featureStores,
      });
    }
    this.dashboard = new PlatformDashboard(this, 'Dashboard', { alarms: this.alarms.alarms, ...parts });
  }

  /** A policy of its own replaces the default one, by which alarms may publish: it says so itself. */
  private addTopic(): sns.Topic {
    const topic = new sns.Topic(this, 'Alarms', { masterKey: this.encryptionKey, enforceSSL: true });
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    return topic;
  }

  /** A load balancer and a fleet for each backend without an address; they share a certificate. */
  private addFleets(props: InferencePlatformProps, logBucket: LogBucket, removalPolicy: RemovalPolicy): void {
    const backends = resolvePolicy(props.policy).backends.filter(({ name }) => props.fleets?.[name]);
    const stored = { encryptionKey: this.encryptionKey, logRetention: props.logRetention, removalPolicy };
    for (const backend of backends) {
      const { modelServer, balancing, slowStart, ...fleet } = props.fleets![backend.name]!;
      const bounded = balancing === Balancing.BOUNDED_CONCURRENCY;
      const totalTime = wholeSeconds(backend.timeouts.totalMs);
      const endpoint = new ModelEndpoint(this, `Endpoint-${backend.name}`, {
        vpc: this.vpc,
        endpointCertificate: this.endpointCertificate(props),
        logBucket,
        balancing,
        slowStart,
        zonalShift: fleet.zonalShift,
        controlPort: bounded ? fleet.concurrencyControl?.controlPort : undefined,
        deregistrationDelay: totalTime,
        idleTimeout: wholeSeconds(Math.max(60_000, backend.timeouts.firstTokenMs)),
        deletionProtection: isDeletionProtected(props),
        ...stored,
      });
      this.endpoints[backend.name] = endpoint;
      this.fleets[backend.name] = new GpuFleet(this, `Fleet-${backend.name}`, {
        vpc: this.vpc,
        modelServer: {
          servedModelNames: servedNames(props.policy, backend),
          task: taskOf(props.policy, backend),
          ...modelServer,
        },
        port: endpoint.targetPort,
        // It takes an instance some looks to see that nothing is in flight.
        drainTime: Duration.seconds(Math.max(10, totalTime.toSeconds())),
        rollbackAlarms: [rollbackAlarm(this, `Rollback-${backend.name}`, endpoint, this.alarmTopic)],
        notificationTopic: this.alarmTopic,
        ...(bounded ? { concurrencyControl: {} } : {}),
        ...stored,
        ...fleet,
      });
      this.fleets[backend.name]!.attachTo(endpoint.targetGroup);
    }
  }

  /** One for all endpoints. */
  private endpointCertificate({ logRetention, removalPolicy }: InferencePlatformProps): EndpointCertificate {
    const { encryptionKey } = this;
    this.certificate ??= new EndpointCertificate(this, 'EndpointCertificate', {
      ...{ encryptionKey, logRetention, removalPolicy },
    });
    return this.certificate;
  }

  private addScaling(props: InferencePlatformProps): FleetScaling | undefined {
    const fleets = Object.entries(this.fleets).map(([name, fleet]): [string, ScaledFleet] => {
      return [name, { ...props.scaling?.[name], fleet, kvCacheUsage: fleet.metricKvCacheUsage() }];
    });
    if (fleets.length === 0) return undefined;
    return new FleetScaling(this, 'Scaling', {
      fleets: Object.fromEntries(fleets),
      vpc: this.vpc,
      store: this.cache,
      queue: this.jobQueue.queue,
      period: props.scalingPeriod,
      encryptionKey: this.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
  }
}

/** The names under which clients ask for what a backend serves; or the one name that the policy gives it. */
function servedNames(policy: InferencePolicy, backend: Pick<Backend, 'name' | 'modelName'>): string[] {
  if (backend.modelName !== undefined) return [backend.modelName];
  return policy.models.filter((model) => model.backends.includes(backend.name)).map((model) => model.name);
}

/** What load balancers and hooks count in: no less than the time that was asked for. */
function wholeSeconds(milliseconds: number): Duration {
  return Duration.seconds(Math.ceil(milliseconds / 1000));
}

/** What shows that a backend is ready: that it writes text, where any of its models does. */
function taskOf(policy: InferencePolicy, backend: Pick<Backend, 'name'>): ModelTask {
  const kinds = policy.models.filter(({ backends }) => backends.includes(backend.name)).map(({ kind }) => kind);
  const only = (...named: ModelKind[]) => kinds.length > 0 && kinds.every((kind) => kind && named.includes(kind));
  if (only(ModelKind.SERVICE)) return ModelTask.OTHER;
  return only(ModelKind.EMBEDDING, ModelKind.SERVICE) ? ModelTask.EMBED : ModelTask.GENERATE;
}

function isDeletionProtected({ deletionProtection, removalPolicy }: InferencePlatformProps): boolean {
  return deletionProtection ?? removalPolicy !== RemovalPolicy.DESTROY;
}

/** Throws one error that names each part that the policy needs and is not given, or that does not go with it. */
function validateParts(
  { policy, fleets = {}, scaling = {} }: InferencePlatformProps,
  dataPipelines: Record<string, PlatformPipelineSettings>,
  featureStores: Record<string, PlatformFeatureSettings>,
): void {
  const faults = dataFaults(policy, dataPipelines, featureStores);
  const answered = dataBackends(dataPipelines, featureStores);
  const needing = policy.backends.filter(isFleet).map(({ name }) => name);
  const fleetNames = needing.filter((name) => !answered.includes(name));
  for (const name of fleetNames) if (!fleets[name]) faults.push(missingPart(policy, name));
  for (const [field, given] of Object.entries({ fleets, scaling })) {
    for (const name of Object.keys(given)) {
      if (answered.includes(name)) {
        faults.push(
          `${field}["${name}"]: the backend is answered by a pipeline or a feature store: leave one of them out`,
        );
      } else if (!needing.includes(name)) {
        const known = fleetNames.join(', ') || 'none';
        faults.push(`${field}["${name}"]: must name a backend without url and bedrock (${known})`);
      }
    }
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** A backend of services may be answered by more than a fleet. */
function missingPart(policy: InferencePolicy, name: string): string {
  const isService = taskOf(policy, { name }) === ModelTask.OTHER;
  return (
    `fleets["${name}"]: is required, since the backend has neither url nor bedrock: say what model it loads` +
    (isService ? '; or give a pipeline that publishes an index, or a feature store, this backend' : '')
  );
}
