import { Duration, type RemovalPolicy } from 'aws-cdk-lib';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { DefinitionLayer } from '../handlers/definition-layer';
import { HandlerFunction } from '../handlers/handler-function';
import type { IResponseCache } from '../handlers/interfaces';
import type { FeatureDefinition } from '../policy/features/definition';
import { acknowledge, wildcardFinding } from '../security/acknowledge';
import type { DataBucket } from './data-bucket';
import {
  COMPACTION_PREFIX,
  ERASURES_PREFIX,
  OFFLINE_PREFIX,
  QUARANTINE_PREFIX,
  RESULTS_PREFIX,
  SAMPLES_PREFIX,
} from '../policy/features/prefixes';

/** The functions wait this long for Valkey: longer than a request for a chat would, since a batch is behind it. */
const STORE_TIMEOUT_MS = 500;

/** The parts of a feature store that its functions need. */
export interface FeatureFunctionsProps {
  readonly definition: FeatureDefinition;
  readonly definitionLayer: DefinitionLayer;
  readonly bucket: DataBucket;
  /** One of both: the table, or Valkey with its network. */
  readonly onlineTable?: dynamodb.Table;
  readonly onlineStore?: IResponseCache;
  readonly vpc?: ec2.IVpc;
  readonly sampleRate?: number;
  readonly trainingDays?: string[];
  readonly compactionSchedule?: events.Schedule;
  readonly metricsNamespace: string;
  readonly storeName: string;
  readonly encryptionKey?: kms.IKey;
  readonly logRetention?: logs.RetentionDays;
  readonly removalPolicy?: RemovalPolicy;
}

/** What the functions differ in. */
interface HandlerSettings {
  readonly handler: string;
  readonly description: string;
  readonly memorySize: number;
  readonly timeout: Duration;
  readonly reservedConcurrency?: number;
  readonly reachesOnlineStore: boolean;
  readonly environment?: Record<string, string>;
}

/** The functions of a feature store, each of which may do what its code does and nothing else. */
export class FeatureFunctions {
  public readonly ingest: HandlerFunction;
  public readonly serve: HandlerFunction;
  public readonly skew: HandlerFunction;
  public readonly maintenance: HandlerFunction;

  public constructor(
    private readonly scope: Construct,
    private readonly props: FeatureFunctionsProps,
  ) {
    this.ingest = this.addIngest();
    this.serve = this.addServe();
    this.skew = this.addSkew();
    this.maintenance = this.addMaintenance();
  }

  private addIngest(): HandlerFunction {
    const { definition, onlineTable } = this.props;
    const handler = this.addHandler('Ingest', {
      handler: 'feature-ingest',
      description: `Takes in the features of ${definition.name}`,
      memorySize: 512,
      timeout: Duration.minutes(1),
      reachesOnlineStore: true,
    });
    onlineTable?.grant(handler, 'dynamodb:GetItem', 'dynamodb:PutItem');
    this.allowObjects(handler, ['s3:PutObject'], [OFFLINE_PREFIX, QUARANTINE_PREFIX]);
    return handler;
  }

  private addServe(): HandlerFunction {
    const { definition, onlineTable } = this.props;
    const sampleRate = this.props.sampleRate ?? 0.01;
    const handler = this.addHandler('Serve', {
      handler: 'feature-serve',
      description: `Serves the features of ${definition.name}`,
      memorySize: 512,
      timeout: Duration.seconds(10),
      reachesOnlineStore: true,
      environment: { SAMPLE_RATE: String(sampleRate) },
    });
    onlineTable?.grant(handler, 'dynamodb:BatchGetItem');
    if (sampleRate > 0) this.allowObjects(handler, ['s3:PutObject'], [SAMPLES_PREFIX]);
    return handler;
  }

  private addSkew(): HandlerFunction {
    const { definition, bucket } = this.props;
    const [first, last] = this.props.trainingDays ?? [];
    const handler = this.addHandler('Skew', {
      handler: 'feature-skew',
      description: `Compares the features of ${definition.name} as served with those trained on`,
      memorySize: 2048,
      timeout: Duration.minutes(5),
      reachesOnlineStore: false,
      environment: { ...(first && last && { TRAINING_FIRST_DAY: first, TRAINING_LAST_DAY: last }) },
    });
    this.allowObjects(handler, ['s3:GetObject'], [OFFLINE_PREFIX, SAMPLES_PREFIX]);
    handler.role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['s3:ListBucket'],
        resources: [bucket.bucketArn],
        conditions: { StringLike: { 's3:prefix': [`${OFFLINE_PREFIX}*`, `${SAMPLES_PREFIX}*`] } },
      }),
    );
    new events.Rule(this.scope, 'SkewSchedule', {
      description: `Compares the features of ${definition.name} as served with those trained on`,
      schedule: events.Schedule.rate(Duration.hours(1)),
      targets: [new targets.LambdaFunction(handler.function, { retryAttempts: 1 })],
    });
    return handler;
  }

  /** One at a time: what is put together must not be what is being erased. */
  private addMaintenance(): HandlerFunction {
    const { definition, bucket, onlineTable } = this.props;
    const handler = this.addHandler('Maintenance', {
      handler: 'feature-maintenance',
      description: `Puts files of ${definition.name} together, erases entities and fills the online store`,
      memorySize: 2048,
      timeout: Duration.minutes(15),
      reservedConcurrency: 1,
      reachesOnlineStore: true,
    });
    onlineTable?.grant(handler, 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:DeleteItem');
    const kept = [OFFLINE_PREFIX, QUARANTINE_PREFIX, COMPACTION_PREFIX];
    this.allowObjects(handler, ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], kept);
    this.allowObjects(handler, ['s3:GetObject', 's3:DeleteObject'], [RESULTS_PREFIX]);
    const versioned = [OFFLINE_PREFIX, QUARANTINE_PREFIX, RESULTS_PREFIX];
    this.allowObjects(handler, ['s3:DeleteObjectVersion'], versioned);
    this.allowObjects(handler, ['s3:PutObject'], [ERASURES_PREFIX]);
    // Without the right to list, S3 says 403 of a note that is not there. To get an object names no prefix to list, so that a
    // condition on one would take the right away.
    handler.role.addToPolicy(new iam.PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] }));
    handler.role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['s3:ListBucketVersions'],
        resources: [bucket.bucketArn],
        conditions: { StringLike: { 's3:prefix': versioned.map((prefix) => `${prefix}*`) } },
      }),
    );
    new events.Rule(this.scope, 'CompactionSchedule', {
      description: `Puts small files of the features of ${definition.name} together`,
      schedule: this.props.compactionSchedule ?? events.Schedule.rate(Duration.hours(6)),
      targets: [
        new targets.LambdaFunction(handler.function, {
          event: events.RuleTargetInput.fromObject({ action: 'compact' }),
          retryAttempts: 1,
        }),
      ],
    });
    return handler;
  }

  private addHandler(id: string, { reachesOnlineStore, environment, ...settings }: HandlerSettings): HandlerFunction {
    const { props } = this;
    const store = reachesOnlineStore ? props.onlineStore : undefined;
    const handler = new HandlerFunction(this.scope, id, {
      ...settings,
      ...(store && { vpc: props.vpc }),
      environment: {
        FEATURE_STORE: props.storeName,
        METRICS_NAMESPACE: props.metricsNamespace,
        OFFLINE_BUCKET: props.bucket.bucketName,
        ...(reachesOnlineStore && props.onlineTable && { ONLINE_TABLE: props.onlineTable.tableName }),
        ...(store && {
          STORE_URL: store.url,
          STORE_TIMEOUT_MS: String(STORE_TIMEOUT_MS),
          ...(store.userName && { STORE_USER: store.userName }),
          ...(store.cacheName && { STORE_CACHE_NAME: store.cacheName }),
        }),
        ...environment,
      },
      layers: [props.definitionLayer.layer],
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    if (store) {
      store.grantConnect(handler);
      handler.connections.allowToDefaultPort(store, 'Online store of features');
      handler.connections.allowToAnyIpv4(ec2.Port.tcp(443), 'S3');
    }
    return handler;
  }

  /** What the code calls, on what lies below prefixes and nothing else. */
  private allowObjects(handler: HandlerFunction, actions: string[], prefixes: readonly string[]): void {
    const { bucket, encryptionKey } = this.props;
    const resources = prefixes.map((prefix) => bucket.arnForObjects(`${prefix}*`));
    handler.role.addToPolicy(new iam.PolicyStatement({ actions, resources }));
    if (actions.includes('s3:PutObject')) encryptionKey?.grant(handler, 'kms:GenerateDataKey');
    const reason = 'Which objects there are below the prefix is not known when the policy is written.';
    acknowledge(handler.role, Object.fromEntries(resources.map((arn) => [wildcardFinding(handler, arn), reason])));
  }
}
