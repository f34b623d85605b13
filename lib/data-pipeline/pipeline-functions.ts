import { Duration, type RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { DefinitionLayer } from '../handlers/definition-layer';
import { HandlerFunction } from '../handlers/handler-function';
import type { IEmbedder } from '../handlers/interfaces';
import { INCOMING_PREFIX, JOBS_PREFIX, REFERENCES_PREFIX } from '../policy/pipeline/prefixes';
import { acknowledge, wildcardFinding } from '../security/acknowledge';
import type { DataBucket } from './data-bucket';
import { embeddingEnvironment, grantEmbedding } from './embedding-access';
import type { VectorBucket } from './vector-bucket';

/** The parts of a pipeline that its functions need. */
export interface PipelineFunctionsProps {
  readonly name: string;
  readonly pipelineName: string;
  readonly metricsNamespace: string;
  readonly definitionLayer: DefinitionLayer;
  readonly landing: DataBucket;
  readonly bucket: DataBucket;
  readonly pointers: dynamodb.Table;
  readonly vectors?: VectorBucket;
  /** Whether a Glue job reads what has landed, and the functions do not. */
  readonly startsWithJob: boolean;
  /** Whether there is one at all, whose output the functions read. */
  readonly hasJob: boolean;
  /** Whether what has landed can be read only once it was scanned. */
  readonly scansLanding: boolean;
  /** Limit of a call for a batch of shards. */
  readonly workerTimeout: Duration;
  readonly workerMemorySize: number;
  readonly functions: Record<string, lambda.IVersion>;
  readonly embeddingUrl?: string;
  readonly embeddingKey?: secretsmanager.ISecret;
  readonly embedder?: IEmbedder;
  readonly embeddingTenant?: string;
  readonly costPerGigabyte?: number;
  readonly encryptionKey?: kms.IKey;
  readonly logRetention?: logs.RetentionDays;
  readonly removalPolicy?: RemovalPolicy;
}

/** Where each function may do what. */
interface Reach {
  readonly landing: readonly string[];
  /** Actions on the objects of the pipeline's own bucket, with what their keys begin with. */
  readonly objects: readonly (readonly [actions: readonly string[], prefixes: readonly string[]])[];
  readonly pointers: readonly string[];
  readonly embeds: boolean;
}

/** The functions of a pipeline, each of which may do what its code does and nothing else. */
export class PipelineFunctions {
  /** Takes shards through the stages. */
  public readonly worker: HandlerFunction;
  /** Plans, audits, publishes, indexes and tidies. */
  public readonly steps: HandlerFunction;
  /** Answers operators. */
  public readonly control: HandlerFunction;

  public constructor(
    private readonly scope: Construct,
    private readonly props: PipelineFunctionsProps,
  ) {
    const { name, vectors } = props;
    const incoming = props.startsWithJob ? [] : [INCOMING_PREFIX];
    this.worker = this.add('Worker', {
      ...{ handler: 'pipeline-stage', description: `Takes records of the pipeline ${name} through its stages` },
      ...{ memorySize: props.workerMemorySize, timeout: props.workerTimeout },
      reach: {
        landing: [...incoming, REFERENCES_PREFIX],
        // It makes what versions consist of, and no version.
        objects: [
          [['s3:GetObject'], ['cache/', 'staging/']],
          [['s3:PutObject'], ['cache/', 'objects/', 'staging/']],
          ...(props.hasJob ? ([[['s3:GetObject'], [JOBS_PREFIX]]] as const) : []),
        ],
        pointers: [],
        embeds: true,
      },
    });
    this.steps = this.add('Steps', {
      ...{ handler: 'pipeline-stage', description: `Plans, audits and publishes versions of the pipeline ${name}` },
      ...{ memorySize: 3072, timeout: Duration.minutes(15) },
      // The keys of rules of uniqueness are sorted there: all that Lambda gives.
      ephemeralStorageSize: Size.gibibytes(10),
      reach: {
        landing: [REFERENCES_PREFIX],
        objects: [[['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], ['']]],
        pointers: ['dynamodb:Query', 'dynamodb:PutItem'],
        embeds: vectors !== undefined,
      },
    });
    this.control = this.add('Control', {
      ...{ handler: 'pipeline-control', description: `Shows operators the versions of the pipeline ${name}` },
      ...{ memorySize: 1024, timeout: Duration.minutes(5) },
      reach: {
        landing: [],
        objects: [
          [['s3:GetObject'], ['objects/', 'staging/', 'versions/']],
          [['s3:PutObject'], ['monitors/']],
        ],
        pointers: ['dynamodb:Query', 'dynamodb:PutItem'],
        embeds: false,
      },
    });
    const called = Object.values(props.functions).map(({ functionArn }) => functionArn);
    if (called.length > 0) {
      // The version that the ARN names; a grant of the L2 would take in all others.
      this.worker.role.addToPolicy(new iam.PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: called }));
    }
    const actions = ['CreateIndex', 'GetIndex', 'DeleteIndex', 'PutVectors', 'QueryVectors', 'GetVectors'];
    vectors?.grantIndexes(this.steps, ...actions);
    // Of a file that it may not read, the worker finds out what the scan says, and whether it is still the same.
    const scanned = props.scansLanding ? incoming : [];
    if (scanned.length > 0) this.allowObjects(this.worker, props.landing, ['s3:GetObjectTagging'], scanned);
    this.allowListing(this.worker, props.landing, [...scanned, REFERENCES_PREFIX]);
    this.allowListing(this.steps, props.landing, [...incoming, REFERENCES_PREFIX]);
  }

  private add(
    id: string,
    {
      reach,
      ...settings
    }: {
      readonly handler: string;
      readonly description: string;
      readonly memorySize: number;
      readonly timeout: Duration;
      readonly ephemeralStorageSize?: Size;
      readonly reach: Reach;
    },
  ): HandlerFunction {
    const { props } = this;
    const { vectors, functions } = props;
    const arns = Object.fromEntries(Object.entries(functions).map(([name, fn]) => [name, fn.functionArn]));
    const handler = new HandlerFunction(this.scope, id, {
      ...settings,
      environment: {
        PIPELINE_NAME: props.pipelineName,
        METRICS_NAMESPACE: props.metricsNamespace,
        PIPELINE_BUCKET: props.bucket.bucketName,
        LANDING_BUCKET: props.landing.bucketName,
        POINTER_TABLE: props.pointers.tableName,
        ...(Object.keys(arns).length > 0 && { FUNCTIONS: Stack.of(this.scope).toJsonString(arns) }),
        ...(props.costPerGigabyte !== undefined && { COST_PER_GIGABYTE: String(props.costPerGigabyte) }),
        ...(vectors && { VECTOR_BUCKET: vectors.bucketName }),
        ...(props.scansLanding && { LANDING_IS_SCANNED: 'true' }),
        ...(reach.embeds && embeddingEnvironment(props, 'batch')),
      },
      layers: [props.definitionLayer.layer],
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    if (reach.embeds) grantEmbedding(handler, props);
    if (reach.pointers.length > 0) props.pointers.grant(handler, ...reach.pointers);
    if (reach.landing.length > 0) this.allowObjects(handler, props.landing, ['s3:GetObject'], reach.landing);
    for (const [actions, prefixes] of reach.objects) this.allowObjects(handler, props.bucket, actions, prefixes);
    this.allowListing(handler, props.bucket);
    props.encryptionKey?.grant(handler, 'kms:GenerateDataKey');
    return handler;
  }

  private allowObjects(
    handler: HandlerFunction,
    bucket: DataBucket,
    actions: readonly string[],
    prefixes: readonly string[],
  ): void {
    const resources = prefixes.map((prefix) => bucket.arnForObjects(`${prefix}*`));
    handler.role.addToPolicy(new iam.PolicyStatement({ actions: [...actions], resources }));
    const reason = 'Which objects there are is not known when the policy is written.';
    acknowledge(handler.role, Object.fromEntries(resources.map((arn) => [wildcardFinding(handler, arn), reason])));
  }

  /** Where a function may not list, S3 says 403 of an object that is not there. */
  private allowListing(handler: HandlerFunction, bucket: DataBucket, prefixes?: readonly string[]): void {
    handler.role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['s3:ListBucket'],
        resources: [bucket.bucketArn],
        ...(prefixes && { conditions: { StringLike: { 's3:prefix': prefixes.map((prefix) => `${prefix}*`) } } }),
      }),
    );
  }
}
