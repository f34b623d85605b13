import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { FleetScaling, type ScaledFleet } from '../auto-scaling/fleet-scaling';
import { GpuFleet } from '../auto-scaling/gpu-fleet';
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
import type { InferencePolicy } from '../policy/policy';
import { assertValidPolicy } from '../policy/validate';
import { BatchJobs } from '../queueing/batch-jobs';
import type { JobQueue } from '../queueing/job-queue';
import { RatePlans } from '../rate-limiting/rate-plans';
import { LogBucket } from '../security/log-bucket';
import { PlatformKey } from '../security/platform-key';
import { PlatformNetwork } from '../security/platform-network';
import type { InferencePlatformProps } from './inference-platform-props';
import { taskOf } from './model-task';
import { PlatformData } from './platform-data';
import { rollbackAlarm } from './rollback-alarm';
import { validateParts } from './validate-parts';

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
    validateParts(props);
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
      ...{ dataPipelines: props.dataPipelines ?? {}, featureStores: props.featureStores ?? {} },
      ...{ logBucket, removalPolicy, vpc: this.vpc, cache: this.cache },
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
    this.alarms = new PlatformAlarms(this, 'Watch', {
      topic: this.alarmTopic,
      endpointCertificate: this.certificate,
      ...parts,
    });
    if (Object.keys({ ...this.dataPipelines, ...this.featureStores }).length > 0) {
      this.dataAlarms = new DataAlarms(this, 'DataWatch', {
        topic: this.alarmTopic,
        pipelines: this.dataPipelines,
        featureStores: this.featureStores,
        retrievals: this.retrievals,
      });
    }
    const alarms = [...this.alarms.alarms, ...(this.dataAlarms?.alarms ?? [])];
    this.dashboard = new PlatformDashboard(this, 'Dashboard', { alarms, ...parts });
    for (const [name, pipeline] of Object.entries(this.dataPipelines)) this.dashboard.addPipeline(name, pipeline);
    for (const [name, retrieval] of Object.entries(this.retrievals)) this.dashboard.addRetrieval(name, retrieval);
    for (const [name, store] of Object.entries(this.featureStores)) this.dashboard.addFeatureStore(name, store);
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
  private endpointCertificate(props: InferencePlatformProps): EndpointCertificate {
    const { logRetention, removalPolicy, endpointCertificateSerial: serial } = props;
    const { encryptionKey } = this;
    this.certificate ??= new EndpointCertificate(this, 'EndpointCertificate', {
      ...{ encryptionKey, logRetention, removalPolicy, serial },
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

function isDeletionProtected({ deletionProtection, removalPolicy }: InferencePlatformProps): boolean {
  return deletionProtection ?? removalPolicy !== RemovalPolicy.DESTROY;
}
