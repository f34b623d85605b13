import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { DefinitionLayer } from '../handlers/definition-layer';
import type { HandlerFunction } from '../handlers/handler-function';
import { MetricFamily } from '../handlers/metric-family';
import { resolvePipeline, type ResolvedPipeline } from '../policy/pipeline/pipeline-defaults';
import { INCOMING_PREFIX, JOBS_PREFIX, RUNS_PREFIX } from '../policy/pipeline/prefixes';
import { assertValidPipeline } from '../policy/pipeline/validate-pipeline';
import { DataBucket } from './data-bucket';
import type { DataPipelineProps } from './data-pipeline-props';
import type { EmbeddingAccess } from './embedding-access';
import { landingEvent } from './landing-event';
import { MalwareScan } from './malware-scan';
import { PipelineFunctions } from './pipeline-functions';
import { PipelineMachine } from './pipeline-machine';
import { validatePipelineProps } from './validate-pipeline-props';
import { VectorBucket } from './vector-bucket';

/** An express execution may take five minutes; its function ends before it. */
const EXPRESS_TIMEOUT = Duration.seconds(270);

/**
 * Data that is validated, versioned and watched: what lands is taken through stages that are contracts, audited, and
 * published as a whole by one conditional write. Readers see published versions only.
 */
export class DataPipeline extends Construct {
  /** Where files land, below `incoming/`; sets of references below `references/`. */
  public readonly landing: DataBucket;

  /** Versions, quarantine and staging. */
  public readonly bucket: DataBucket;

  /** Which version readers see: a row for each flip, partition key `pipeline`, sort key `sequence`. */
  public readonly pointers: dynamodb.Table;

  /**
   * Vector indexes of the published versions.
   *
   * @default - the definition has no `retrieval`
   */
  public readonly vectors?: VectorBucket;

  /**
   * Scans what lands.
   *
   * @default - `malwareScan` is not set
   */
  public readonly scan?: MalwareScan;

  /** The definition as the functions read it. */
  public readonly definitionLayer: DefinitionLayer;

  /** Takes records through the stages. */
  public readonly worker: HandlerFunction;

  /** Plans, audits and publishes. */
  public readonly steps: HandlerFunction;

  /** Shows operators versions, goes back to an earlier one, traces records and redrives quarantine. */
  public readonly control: HandlerFunction;

  /** The state machine: an execution is a run. */
  public readonly stateMachine: sfn.StateMachine;

  /** Namespace of the metrics. */
  public readonly metricsNamespace: string;

  /** Value of the metrics' dimension `Pipeline`. */
  public readonly pipelineName: string;

  /** Names of the stages, in their order. */
  public readonly stageNames: string[];

  /** Per cent of the records that may be at fault in a version that is published. */
  public readonly mostFaultPercent: number;

  /** Whether there are Glue jobs among the stages, and the first of them is the first stage. */
  private readonly jobs?: { readonly areFirst: boolean };

  /** The properties by which `Retrieval` reaches the same endpoint, bucket and key. */
  private readonly metrics: MetricFamily;
  private readonly props: DataPipelineProps;

  constructor(scope: Construct, id: string, props: DataPipelineProps) {
    super(scope, id);
    assertValidPipeline(props.definition);
    const pipeline = resolvePipeline(props.definition);
    validatePipelineProps(pipeline, props);
    this.props = props;
    if (hasJob(pipeline)) this.jobs = { areFirst: startsWithJob(pipeline) };
    this.stageNames = pipeline.stages.map(({ name }) => name);
    this.mostFaultPercent = pipeline.mostFaultRate * 100;
    this.metricsNamespace = props.metricsNamespace ?? 'InferencePlatform';
    this.pipelineName = `${Stack.of(this).stackName}-${pipeline.name}-${this.node.addr.slice(-8)}`;
    this.metrics = new MetricFamily(this, {
      namespace: this.metricsNamespace,
      dimensions: { Pipeline: this.pipelineName },
    });
    const stored = { encryptionKey: props.encryptionKey, removalPolicy: props.removalPolicy };

    this.landing = new DataBucket(this, 'Landing', {
      ...stored,
      logBucket: props.logBucket,
      eventBridgeEnabled: props.triggerSuffix !== undefined || props.malwareScan === true,
      ...(props.landingRetention && { retentionByPrefix: { [INCOMING_PREFIX]: props.landingRetention } }),
    });
    this.bucket = new DataBucket(this, 'Versions', {
      ...stored,
      logBucket: props.logBucket,
      retentionByPrefix: {
        [RUNS_PREFIX]: Duration.days(7),
        'staging/': Duration.days(pipeline.retention.quarantineDays),
        ...(hasJob(pipeline) && { [JOBS_PREFIX]: Duration.days(pipeline.retention.quarantineDays) }),
        ...(embeds(pipeline) && { 'cache/': Duration.days(pipeline.retention.cacheDays) }),
      },
    });
    this.pointers = this.addPointers(props);
    if (pipeline.retrieval) this.vectors = new VectorBucket(this, 'Vectors', stored);
    if (props.malwareScan) {
      const { landing: bucket } = this;
      this.scan = new MalwareScan(this, 'Scan', {
        bucket,
        encryptionKey: props.encryptionKey,
        prefix: INCOMING_PREFIX,
      });
    }
    this.definitionLayer = new DefinitionLayer(this, 'Definition', {
      fileName: 'pipeline.json',
      description: `The data pipeline ${pipeline.name}`,
      definition: props.definition,
    });

    // A shard waits for a scan, too.
    const childType = callsOut(pipeline) || props.malwareScan ? 'STANDARD' : 'EXPRESS';
    const { worker, steps, control } = new PipelineFunctions(this, {
      ...props,
      ...{ name: pipeline.name, pipelineName: this.pipelineName, metricsNamespace: this.metricsNamespace },
      ...{ definitionLayer: this.definitionLayer, landing: this.landing, bucket: this.bucket },
      ...{
        pointers: this.pointers,
        vectors: this.vectors,
        startsWithJob: startsWithJob(pipeline),
        hasJob: hasJob(pipeline),
        scansLanding: props.malwareScan ?? false,
      },
      workerTimeout: childType === 'EXPRESS' ? EXPRESS_TIMEOUT : Duration.minutes(15),
      workerMemorySize: props.memorySize ?? 2048,
      functions: props.functions ?? {},
    });
    this.worker = worker;
    this.steps = steps;
    this.control = control;
    this.stateMachine = new PipelineMachine(this, 'Machine', {
      ...props,
      ...{ pipeline, childType, worker, steps, bucket: this.bucket, landing: this.landing },
      waitsForScan: props.malwareScan ?? false,
    }).stateMachine;
    control.function.addEnvironment('STATE_MACHINE', this.stateMachine.stateMachineArn);
    this.stateMachine.grantStartExecution(control);
    this.addTriggers(props);
  }

  /**
   * Lets an identity put files where they land. It may not tag them: a tag says what the malware scan found.
   *
   * @param grantee the identity
   */
  public grantLand(grantee: iam.IGrantable): iam.Grant {
    const grant = iam.Grant.addToPrincipalOrResource({
      grantee,
      actions: ['s3:PutObject', 's3:AbortMultipartUpload'],
      resourceArns: [this.landing.arnForObjects(`${INCOMING_PREFIX}*`)],
      resource: this.landing,
    });
    // An upload in parts has S3 read the data key, too.
    const key = this.props.encryptionKey?.grant(grantee, 'kms:GenerateDataKey', 'kms:Decrypt');
    return key ? grant.combine(key) : grant;
  }

  /**
   * Lets the role of a Glue job among the stages read what the job is given and write what it gives.
   *
   * @param grantee the job's role
   */
  public grantJob(grantee: iam.IGrantable): void {
    if (!this.jobs) throw new Error('grantJob needs a glueJob stage in the definition');
    if (this.jobs.areFirst) this.landing.grantRead(grantee, `${INCOMING_PREFIX}*`);
    this.bucket.grantReadWrite(grantee, `${JOBS_PREFIX}*`);
  }

  /**
   * Lets an identity start runs.
   *
   * @param grantee the identity
   */
  public grantRun(grantee: iam.IGrantable): iam.Grant {
    return this.stateMachine.grantStartExecution(grantee);
  }

  /**
   * Lets an identity see versions and quarantine, go back to an earlier version, and redrive.
   *
   * @param grantee the identity
   */
  public grantControl(grantee: iam.IGrantable): iam.Grant {
    return this.control.function.grantInvoke(grantee);
  }

  /**
   * Lets an identity read published versions: the pointer, manifests and objects.
   *
   * @param grantee the identity
   */
  public grantRead(grantee: iam.IGrantable): void {
    this.pointers.grant(grantee, 'dynamodb:Query');
    this.bucket.grantRead(grantee, 'versions/*');
    this.bucket.grantRead(grantee, 'objects/*');
  }

  /** Records that were read. */
  public metricRead(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('PipelineRecordsRead', props);
  }

  /** Records of versions that passed the audit. */
  public metricPublished(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('PipelineRecordsPublished', props);
  }

  /** Records that were put aside. */
  public metricQuarantined(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('PipelineRecordsQuarantined', props);
  }

  /** Per cent of the records read that are at fault, of the worst version. */
  public metricFaultRate(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.maximum('PipelineFaultRate', props);
  }

  /** Versions that were held back. */
  public metricHeld(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('PipelineVersionsHeld', props);
  }

  /**
   * Monitors that found an anomaly. They judge by the history of the pipeline's own versions, and none before there is
   * enough of it.
   */
  public metricAnomalies(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('PipelineAnomalies', props);
  }

  /**
   * Seconds that the newest record is old, of the time that the run is for. Told where the definition has a `timeField`
   * and `mostAgeSeconds`.
   */
  public metricWatermarkAge(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.maximum('PipelineWatermarkAge', props);
  }

  /** Population stability index of the worst watched field, against the pinned version. */
  public metricDrift(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.maximum('PipelineDrift', props);
  }

  /**
   * Seconds since readers got a version, as of each period. Known for as long as a version was published in what is looked at.
   */
  public metricVersionAge(props?: cloudwatch.MathExpressionOptions): cloudwatch.MathExpression {
    return this.age('PipelinePublishedAt', 'Age of the version', props);
  }

  /** Seconds since an index took over, as {@link metricVersionAge} tells it of versions. */
  public metricIndexAge(props?: cloudwatch.MathExpressionOptions): cloudwatch.MathExpression {
    return this.age('PipelineIndexedAt', 'Age of the index', props);
  }

  /** Per cent of the golden set that an index was found to answer, of the worst one: also of one that did not take over. */
  public metricIndexRecall(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.minimum('PipelineIndexRecall', props);
  }

  /** Indexes that found too little of the golden set, so that the one before still answers. */
  public metricIndexesKept(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('PipelineIndexesKept', props);
  }

  /** Seconds that a stage worked, over all shards. */
  public metricStageTime(stage: string, props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('PipelineStageSeconds', {
      dimensionsMap: { Pipeline: this.pipelineName, Stage: stage },
      ...props,
    });
  }

  /** Milliseconds that a run took. */
  public metricRunTime(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricTime({ statistic: cloudwatch.Stats.MAXIMUM, ...props });
  }

  /** Runs that ended well: their version is the one that readers see. */
  public metricSucceeded(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricSucceeded(props);
  }

  /** Runs that failed, ran out of time or were aborted: also those whose version was held back, refused or overtaken. */
  public metricFailed(props?: cloudwatch.MathExpressionOptions): cloudwatch.MathExpression {
    const sum = { statistic: cloudwatch.Stats.SUM };
    return new cloudwatch.MathExpression({
      expression: 'FILL(failed, 0) + FILL(timedOut, 0) + FILL(aborted, 0)',
      usingMetrics: {
        failed: this.stateMachine.metricFailed(sum),
        timedOut: this.stateMachine.metricTimedOut(sum),
        aborted: this.stateMachine.metricAborted(sum),
      },
      label: 'Runs that published nothing',
      ...props,
    });
  }

  /**
   * What `Retrieval` needs to ask as the pipeline embeds.
   *
   * @internal
   */
  public get _embedding(): EmbeddingAccess & Pick<DataPipelineProps, 'encryptionKey'> {
    return this.props;
  }

  private age(metricName: string, label: string, props?: cloudwatch.MathExpressionOptions): cloudwatch.MathExpression {
    const period = props?.period ?? Duration.hours(1);
    return new cloudwatch.MathExpression({
      expression: 'EPOCH(FILL(at, REPEAT)) - FILL(at, REPEAT)',
      usingMetrics: { at: this.metrics.maximum(metricName, { period }) },
      label,
      ...props,
      period,
    });
  }

  private addPointers({ encryptionKey, removalPolicy }: DataPipelineProps): dynamodb.Table {
    return new dynamodb.Table(this, 'Pointers', {
      partitionKey: { name: 'pipeline', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'sequence', type: dynamodb.AttributeType.STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      encryption: encryptionKey ? dynamodb.TableEncryption.CUSTOMER_MANAGED : dynamodb.TableEncryption.DEFAULT,
      encryptionKey,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: removalPolicy !== RemovalPolicy.DESTROY,
      removalPolicy: removalPolicy ?? RemovalPolicy.RETAIN,
    });
  }

  private addTriggers({ schedule, triggerSuffix }: DataPipelineProps): void {
    // An event of EventBridge says nothing that a run is asked.
    const target = () =>
      new targets.SfnStateMachine(this.stateMachine, { input: events.RuleTargetInput.fromObject({}) });
    if (schedule) {
      const description = `Starts runs of ${this.props.definition.name}`;
      new events.Rule(this, 'Schedule', { description, schedule, targets: [target()] });
    }
    if (triggerSuffix === undefined) return;
    new events.Rule(this, 'Trigger', {
      description: `Starts a run of ${this.props.definition.name} when all of its files have landed`,
      eventPattern: landingEvent(this.landing.bucketName, triggerSuffix, this.scan !== undefined),
      targets: [target()],
    });
  }
}

function hasJob({ stages }: ResolvedPipeline): boolean {
  return stages.some(({ work }) => work.kind === 'glueJob');
}

function startsWithJob({ stages }: ResolvedPipeline): boolean {
  return stages[0]?.work.kind === 'glueJob';
}

function embeds({ stages }: ResolvedPipeline): boolean {
  return stages.some(({ work }) => work.kind === 'embed');
}

/** Whether a shard waits for others: for longer than an express execution may last. */
function callsOut(pipeline: ResolvedPipeline): boolean {
  return embeds(pipeline) || pipeline.stages.some(({ work }) => work.kind === 'function');
}
