import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { DefinitionLayer } from '../handlers/definition-layer';
import type { HandlerFunction } from '../handlers/handler-function';
import type { IResponseCache } from '../handlers/interfaces';
import { MetricFamily } from '../handlers/metric-family';
import { FeatureCompatibility, type FeatureDefinition } from '../policy/features/definition';
import { assertCompatible } from '../policy/features/compatibility';
import { trainingSetSql } from '../policy/features/training-sql';
import type { TrainingSet } from '../policy/features/training-set';
import { assertValidFeatures } from '../policy/features/validate';
import type { LogBucket } from '../security/log-bucket';
import { DataBucket } from './data-bucket';
import { FeatureFunctions } from './feature-functions';
import { OFFLINE_PREFIX, QUARANTINE_PREFIX, RESULTS_PREFIX, SAMPLES_PREFIX } from '../policy/features/prefixes';
import { OfflineTables } from './offline-tables';

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** What a feature store keeps and watches, wherever it stands. */
export interface FeatureSettings {
  /** The features: tables, online store, training sets and answers come from it. */
  readonly definition: FeatureDefinition;

  /**
   * The definition that was deployed before, as it is kept in the repository (`FeatureDocument.fromFile`). A change that
   * `compatibility` forbids is an error here, and not in a training set months later.
   *
   * @default - nothing is compared
   */
  readonly pinned?: FeatureDefinition;

  /**
   * What a change must leave readable. Goes with `pinned`.
   *
   * @default FeatureCompatibility.BACKWARD
   */
  readonly compatibility?: FeatureCompatibility;

  /**
   * Share of served rows that is kept to be compared with what models were trained on, 0 to 1.
   *
   * @default 0.01
   */
  readonly sampleRate?: number;

  /**
   * First and last day, UTC, of the history that the models in use were trained on, such as
   * `['2026-03-01', '2026-03-31']`. What is served is compared with it.
   *
   * @default - the seven days before the day that is compared
   */
  readonly trainingDays?: string[];

  /**
   * The most bytes that one query of Athena may read.
   *
   * @default 1099511627776 - 1 TiB
   */
  readonly mostBytesPerQuery?: number;
}

/** Properties of a feature store. */
export interface FeatureStoreProps extends FeatureSettings {
  /**
   * Valkey to serve from, such as the platform's. Needs `vpc`. What it evicts when memory is short is served as missing.
   *
   * @default - a table of DynamoDB
   */
  readonly onlineStore?: IResponseCache;

  /**
   * Network of the functions that reach the online store. Goes with `onlineStore`.
   *
   * @default - none
   */
  readonly vpc?: ec2.IVpc;

  /**
   * When small files of the history are put together.
   *
   * @default Schedule.rate(Duration.hours(6))
   */
  readonly compactionSchedule?: events.Schedule;

  /**
   * Namespace of the metrics.
   *
   * @default 'InferencePlatform'
   */
  readonly metricsNamespace?: string;

  /**
   * Encrypts bucket, table, results, logs and environments. Its policy must let CloudWatch Logs use it, as `PlatformKey`
   * does.
   *
   * @default - encrypted by the services' own keys
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * Bucket for the access log of the bucket.
   *
   * @default - a new `LogBucket`
   */
  readonly logBucket?: LogBucket;

  /**
   * How long the functions' logs are kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to bucket, table and logs when they leave the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * Features from one definition: taken in by `ingest`, kept for training as Parquet that Athena reads and for serving in
 * DynamoDB or Valkey, served by `serve` with age and declared fallback, and watched for skew between the two.
 */
export class FeatureStore extends Construct {
  /** Offline tables, samples, quarantine and results of queries. */
  public readonly bucket: DataBucket;

  /** Database, tables and workgroup. */
  public readonly offline: OfflineTables;

  /**
   * The newest values, for serving.
   *
   * @default - none: they are in the given `onlineStore`
   */
  public readonly onlineTable?: dynamodb.Table;

  /** The definition as the functions read it. */
  public readonly definitionLayer: DefinitionLayer;

  /** Takes records in. */
  public readonly ingest: HandlerFunction;

  /** Serves features: give its function an address by `FunctionEndpoint`, or invoke it. */
  public readonly serve: HandlerFunction;

  /** Compares what is served with what was trained on, each hour. */
  public readonly skew: HandlerFunction;

  /** Puts small files of the history together, erases entities, and fills the online store from the history. */
  public readonly maintenance: HandlerFunction;

  /** Namespace of the metrics. */
  public readonly metricsNamespace: string;

  /** Value of the metrics' dimension `FeatureStore`. */
  public readonly storeName: string;

  private readonly metrics: MetricFamily;
  private readonly definition: FeatureDefinition;

  constructor(scope: Construct, id: string, props: FeatureStoreProps) {
    super(scope, id);
    validateProps(props);
    this.definition = props.definition;
    this.metricsNamespace = props.metricsNamespace ?? 'InferencePlatform';
    this.storeName = `${Stack.of(this).stackName}-${props.definition.name}-${this.node.addr.slice(-8)}`;
    this.metrics = new MetricFamily(this, {
      namespace: this.metricsNamespace,
      dimensions: { FeatureStore: this.storeName },
    });
    this.bucket = new DataBucket(this, 'Offline', {
      encryptionKey: props.encryptionKey,
      logBucket: props.logBucket,
      removalPolicy: props.removalPolicy,
      retentionByPrefix: {
        [SAMPLES_PREFIX]: Duration.days(7),
        [RESULTS_PREFIX]: Duration.days(30),
        [QUARANTINE_PREFIX]: Duration.days(90),
      },
    });
    this.offline = new OfflineTables(this, 'Tables', {
      definition: props.definition,
      bucket: this.bucket,
      mostBytesPerQuery: props.mostBytesPerQuery,
      encryptionKey: props.encryptionKey,
    });
    this.onlineTable = props.onlineStore ? undefined : this.addTable(props);
    this.definitionLayer = new DefinitionLayer(this, 'Definition', {
      fileName: 'features.json',
      description: `The features of ${props.definition.name}`,
      definition: props.definition,
    });

    const functions = new FeatureFunctions(this, {
      ...props,
      bucket: this.bucket,
      onlineTable: this.onlineTable,
      definitionLayer: this.definitionLayer,
      metricsNamespace: this.metricsNamespace,
      storeName: this.storeName,
    });
    this.ingest = functions.ingest;
    this.serve = functions.serve;
    this.skew = functions.skew;
    this.maintenance = functions.maintenance;
  }

  /**
   * The query of a point-in-time correct training set, for Athena in `offline.workGroup`.
   *
   * @param set labels and features
   * @returns SQL
   */
  public trainingSetQuery(set: TrainingSet): string {
    return trainingSetSql(this.definition, this.offline.databaseName, set);
  }

  /**
   * Lets an identity send records in.
   *
   * @param grantee the identity
   */
  public grantIngest(grantee: iam.IGrantable): iam.Grant {
    return this.ingest.function.grantInvoke(grantee);
  }

  /**
   * Lets an identity ask for features by invoking the function.
   *
   * @param grantee the identity
   */
  public grantServe(grantee: iam.IGrantable): iam.Grant {
    return this.serve.function.grantInvoke(grantee);
  }

  /**
   * Lets an identity erase entities, fill the online store from the history, and put files together.
   *
   * @param grantee the identity
   */
  public grantMaintenance(grantee: iam.IGrantable): iam.Grant {
    return this.maintenance.function.grantInvoke(grantee);
  }

  /**
   * Lets an identity make training sets: run queries in the workgroup, read the tables and the results.
   *
   * @param grantee the identity
   */
  public grantQuery(grantee: iam.IGrantable): void {
    const stack = Stack.of(this);
    const glueArn = (resource: string, resourceName?: string) =>
      stack.formatArn({ service: 'glue', resource, resourceName });
    const { databaseName, workGroupName, tables } = this.offline;
    const statements: [string[], string[]][] = [
      [
        ['StartQueryExecution', 'GetQueryExecution', 'GetQueryResults', 'StopQueryExecution', 'GetWorkGroup'].map(
          (action) => `athena:${action}`,
        ),
        [stack.formatArn({ service: 'athena', resource: 'workgroup', resourceName: workGroupName })],
      ],
      [
        ['glue:GetDatabase', 'glue:GetTable', 'glue:GetPartitions'],
        [
          glueArn('catalog'),
          glueArn('database', databaseName),
          ...Object.keys(tables).map((entity) => glueArn('table', `${databaseName}/${entity}`)),
        ],
      ],
      [['s3:GetBucketLocation', 's3:ListBucket', 's3:ListBucketMultipartUploads'], [this.bucket.bucketArn]],
    ];
    for (const [actions, resources] of statements) {
      grantee.grantPrincipal.addToPrincipalPolicy(new iam.PolicyStatement({ actions, resources }));
    }
    this.bucket.grantRead(grantee, `${OFFLINE_PREFIX}*`);
    this.bucket.grantReadWrite(grantee, `${RESULTS_PREFIX}*`);
  }

  /** Records that came in. */
  public metricRecords(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('FeatureRecords', props);
  }

  /** Records that were refused. */
  public metricQuarantined(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('FeatureRecordsQuarantined', props);
  }

  /** Milliseconds from the oldest event of a batch to its arrival, 99th percentile. */
  public metricEventAge(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.p99('FeatureEventAge', props);
  }

  /** Values that were asked for. Of one entity by `dimensionsMap: { FeatureStore: store.storeName, Entity: 'NAME' }`. */
  public metricReadings(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('FeatureReadings', props);
  }

  /** Values that were too old, for which the declared fallback was served. */
  public metricStale(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('FeatureReadingsStale', props);
  }

  /** Values that were not there, for which the declared fallback was served. */
  public metricMissing(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('FeatureReadingsMissing', props);
  }

  /** Milliseconds that a call for features took, 99th percentile. */
  public metricServeTime(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.serve.function.metricDuration({ statistic: cloudwatch.Stats.p(99), ...props });
  }

  /** Batches that could not be taken in. */
  public metricIngestErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.ingest.function.metricErrors(props);
  }

  /** Per cent of the values that were asked for and were too old, where at least a hundred were. */
  public metricStaleShare(props?: cloudwatch.MathExpressionOptions): cloudwatch.MathExpression {
    const period = props?.period ?? Duration.minutes(5);
    return new cloudwatch.MathExpression({
      expression: 'IF(readings >= 100, 100 * stale / readings, 0)',
      usingMetrics: { stale: this.metricStale({ period }), readings: this.metricReadings({ period }) },
      label: 'Stale values, per cent of at least 100',
      ...props,
      period,
    });
  }

  /**
   * Population stability index of what is served against what was trained on: that of the worst feature. Of one feature
   * by `dimensionsMap: { FeatureStore: store.storeName, Feature: 'NAME' }`.
   */
  public metricSkew(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.maximum('FeatureSkew', { period: Duration.hours(1), ...props });
  }

  /** Invocations that failed, of all four functions. */
  public metricErrors(props?: cloudwatch.MathExpressionOptions): cloudwatch.MathExpression {
    const period = props?.period ?? Duration.minutes(5);
    const of = ({ function: each }: HandlerFunction) => each.metricErrors({ period });
    return new cloudwatch.MathExpression({
      expression: 'ingest + serve + skew + maintenance',
      usingMetrics: {
        ...{ ingest: of(this.ingest), serve: of(this.serve) },
        ...{ skew: of(this.skew), maintenance: of(this.maintenance) },
      },
      label: 'Failed invocations',
      ...props,
      period,
    });
  }

  private addTable({ encryptionKey, removalPolicy }: FeatureStoreProps): dynamodb.Table {
    return new dynamodb.Table(this, 'Online', {
      partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      encryption: encryptionKey ? dynamodb.TableEncryption.CUSTOMER_MANAGED : dynamodb.TableEncryption.DEFAULT,
      encryptionKey,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: 'expiresAt',
      deletionProtection: removalPolicy !== RemovalPolicy.DESTROY,
      removalPolicy: removalPolicy ?? RemovalPolicy.RETAIN,
    });
  }
}

function validateProps(props: FeatureStoreProps): void {
  const { definition, pinned, compatibility, onlineStore, vpc, sampleRate, trainingDays } = props;
  assertValidFeatures(definition);
  if (pinned) {
    assertValidFeatures(pinned);
    assertCompatible(pinned, definition, compatibility ?? FeatureCompatibility.BACKWARD);
  } else if (compatibility !== undefined) {
    throw new Error(`compatibility ("${compatibility}") needs pinned, the definition that was deployed before`);
  }
  if (onlineStore && !vpc) throw new Error('onlineStore needs vpc, the network of the functions that reach it');
  if (vpc && !onlineStore) throw new Error('vpc goes with onlineStore: leave it out, DynamoDB needs no network');
  if (sampleRate !== undefined && !(sampleRate >= 0 && sampleRate <= 1)) {
    throw new Error(`sampleRate must be a number from 0 to 1, got ${sampleRate}`);
  }
  if (trainingDays === undefined) return;
  const [first, last] = trainingDays;
  if (trainingDays.length !== 2 || !DAY.test(first!) || !DAY.test(last!) || first! > last!) {
    throw new Error(
      `trainingDays must be the first and the last day, such as ["2026-03-01", "2026-03-31"], got ${JSON.stringify(trainingDays)}`,
    );
  }
}
