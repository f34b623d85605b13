import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { HandlerFunction, type HandlerFunctionProps } from '../handlers/handler-function';
import type { IInferenceGateway } from '../handlers/inference-gateway';
import { MetricFamily } from '../handlers/metric-family';
import { batchWorkers } from '../policy/batch-workers';
import { resolvePolicy } from '../policy/defaults';
import { acknowledge } from '../security/acknowledge';
import { LogBucket } from '../security/log-bucket';
import { BatchFiles } from './batch-files';
import { BATCH_CALLS, grantBooks, grantDelay, grantFeed, grantReadSecret, grantSend } from './batch-permissions';
import { BatchProgress } from './batch-progress';
import { BATCH_ROUTES } from './batch-routes';
import { workerTimeout } from './worker-timeout';
import { JobQueue } from './job-queue';

/** An upload or download of what Lambda takes in one piece, on a slow line. */
const API_TIME = Duration.minutes(2);

/** All that Lambda gives: what has not ended by then goes on from where it stands. */
const CONTROL_TIME = Duration.minutes(15);

/**
 * Splitting needs 40 MB of heap, however long the file is; without limits V8 takes three times that before it collects
 * what is not used any more (`bench/split`). Finalising fetches at most 32 MB of results at a time.
 */
const CONTROL_NODE_OPTIONS = '--enable-source-maps --max-semi-space-size=2 --max-old-space-size=256';

/** From this on a function has a whole CPU, which is what cuts a file into lines. */
const WHOLE_CPU_MB = 1769;

/** Files that are cut up or put together at the same time; each takes a CPU for up to a quarter of an hour. */
const CONTROL_WORKERS = 20;

/**
 * Deliveries of an item's message before SQS sets it aside. The books count the workers that died at an item, and set it
 * aside with a reason long before; this only stops what never comes so far.
 */
const ITEM_RECEIVES = 100;

const SWEEP = Duration.minutes(5);

/** Properties of batch jobs. */
export interface BatchJobsProps {
  /** The gateway: its API takes the files and batches, and items are computed as it computes answers. */
  readonly gateway: IInferenceGateway;

  /**
   * Memory of a worker, in MB. It holds the requests and answers of five items.
   *
   * @default 1024
   */
  readonly workerMemorySize?: number;

  /**
   * Where accesses to the files are logged.
   *
   * @default - a new bucket
   */
  readonly logBucket?: LogBucket;

  /**
   * Encrypts files, books, messages, secret, logs and environments. Its policy must let CloudWatch Logs use it, as
   * `PlatformKey` does.
   *
   * @default - encrypted by the services' own keys
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long logs are kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to files, books, secret and logs when they leave the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * Batches and single jobs of the OpenAI protocol on a gateway: uploads, splits, works off next to interactive requests
 * below the policy's ceiling, and puts results together. What the policy says under `batch` holds; its defaults where it
 * says nothing.
 */
export class BatchJobs extends Construct {
  /** Uploads, results of items, output and error files. */
  public readonly files: BatchFiles;

  /** Which files, batches and jobs there are, and how far they are. */
  public readonly progress: BatchProgress;

  /** Items that wait for a worker. */
  public readonly work: JobQueue;

  /** Batches that wait to be split, put together or told of. */
  public readonly control: JobQueue;

  /** Answers `/v1/files`, `/v1/batches` and `/v1/jobs`. */
  public readonly api: HandlerFunction;

  /** Splits batches, puts results together, calls webhooks, and looks after what is stuck. */
  public readonly controller: HandlerFunction;

  /** Works on items. */
  public readonly worker: HandlerFunction;

  /** What has the controller look after what is stuck or past its time. */
  public readonly sweep: events.Rule;

  /**
   * From which each tenant's webhook secret is derived.
   *
   * @default - no tenant of the policy has a webhook
   */
  public readonly webhookSecret?: secretsmanager.Secret;

  /** Namespace of the metrics. */
  public readonly metricsNamespace: string;

  /** Value of the metrics' dimension `Service`, apart from the gateway's: nobody waits for the answers that are counted here. */
  public readonly serviceName: string;

  private readonly metrics: MetricFamily;
  private readonly shared: Pick<HandlerFunctionProps, 'encryptionKey' | 'logRetention' | 'removalPolicy'>;

  constructor(scope: Construct, id: string, props: BatchJobsProps) {
    super(scope, id);
    const { encryptionKey, logRetention, removalPolicy } = props;
    const { models } = props.gateway;
    const { batch, tenants } = resolvePolicy(models.policy);
    this.shared = { encryptionKey, logRetention, removalPolicy };
    this.metricsNamespace = models.metricsNamespace;
    this.serviceName = `${Stack.of(this).stackName}-${this.node.addr.slice(-8)}`;
    this.metrics = new MetricFamily(this, {
      namespace: this.metricsNamespace,
      dimensions: { Service: this.serviceName },
    });

    const stored = { encryptionKey, removalPolicy };
    const logBucket = props.logBucket ?? new LogBucket(this, 'AccessLogs');
    this.files = new BatchFiles(this, 'Files', { retentionDays: batch.retentionDays, logBucket, ...stored });
    this.progress = new BatchProgress(this, 'Progress', stored);
    const workerTime = workerTimeout(models.policy);
    this.work = new JobQueue(this, 'Work', {
      workerTimeout: workerTime,
      maxReceiveCount: ITEM_RECEIVES,
      encryptionKey,
    });
    this.control = new JobQueue(this, 'Control', { workerTimeout: CONTROL_TIME, encryptionKey });
    if (tenants.some(({ webhook }) => webhook)) this.webhookSecret = this.addWebhookSecret();

    const environment = this.environment();
    this.api = this.addFunction('Api', 'batch-api', {
      description: 'Takes files, batches and jobs',
      environment,
      layers: [models.policyLayer.layer],
      memorySize: 512,
      timeout: API_TIME,
    });
    this.controller = this.addFunction('Controller', 'batch-control', {
      description: 'Splits batches and puts their results together',
      environment: { ...environment, NODE_OPTIONS: CONTROL_NODE_OPTIONS },
      layers: [models.policyLayer.layer],
      memorySize: WHOLE_CPU_MB,
      timeout: CONTROL_TIME,
    });
    this.worker = this.addFunction('Worker', 'job-worker', {
      description: 'Works on the items of batches and jobs',
      vpc: models.vpc,
      environment: models.environmentWith(environment),
      layers: [models.policyLayer.layer],
      memorySize: props.workerMemorySize ?? 1024,
      timeout: workerTime,
    });
    models.grantTo(this.worker);
    this.grantCalls();

    const { workers, itemsEach } = batchWorkers(batch);
    const itemFeed = { batchSize: itemsEach, maxConcurrency: workers, reportBatchItemFailures: true };
    this.feed('WorkFeed', this.worker, this.work, itemFeed);
    this.feed('ControlFeed', this.controller, this.control, { batchSize: 1, maxConcurrency: CONTROL_WORKERS });
    this.sweep = this.addSweep();
    props.gateway.addRoutes(this.api, [...BATCH_ROUTES]);
  }

  /** Items that have their answer. */
  public metricItemsCompleted(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('BatchItemsCompleted', props);
  }

  /** Items that ended with an error: the client's, or a backend's that lasted. */
  public metricItemsFailed(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('BatchItemsFailed', props);
  }

  /** Times that an item was put off, since no capacity was left for it. */
  public metricItemsDeferred(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('BatchItemsDeferred', props);
  }

  /** Seconds that a worker took for an item, 99th percentile. */
  public metricItemTime(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.p99('BatchItemSeconds', props);
  }

  /** Breakers of backends that opened at an item. */
  public metricBreakerOpened(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('BreakerOpened', props);
  }

  /** Times that splitting, putting together or telling failed; each is tried again. */
  public metricControlErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.controller.function.metricErrors(props);
  }

  private addWebhookSecret(): secretsmanager.Secret {
    const { encryptionKey, removalPolicy } = this.shared;
    const secret = new secretsmanager.Secret(this, 'WebhookSecret', {
      description: "What the secrets of tenants' webhooks are derived from",
      encryptionKey,
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
      removalPolicy: removalPolicy ?? RemovalPolicy.RETAIN,
    });
    acknowledge(secret, {
      'AwsSolutions-SMG4':
        'Tenants check signatures with secrets that are derived from this one: a rotation is agreed with them, not scheduled.',
    });
    return secret;
  }

  /** Where each of the functions finds files, books and queues. */
  private environment(): Record<string, string> {
    return {
      METRICS_NAMESPACE: this.metricsNamespace,
      SERVICE_NAME: this.serviceName,
      BATCH_BUCKET: this.files.bucketName,
      BATCH_TABLE: this.progress.tableName,
      WORK_QUEUE_URL: this.work.queue.queueUrl,
      CONTROL_QUEUE_URL: this.control.queue.queueUrl,
      DEAD_LETTER_QUEUE_URL: this.work.deadLetterQueue.queueUrl,
      ...(this.webhookSecret && { WEBHOOK_SECRET_ARN: this.webhookSecret.secretArn }),
    };
  }

  private addFunction(id: string, handler: string, props: Omit<HandlerFunctionProps, 'handler'>): HandlerFunction {
    return new HandlerFunction(this, id, { handler, ...props, ...this.shared });
  }

  private grantCalls(): void {
    const { files, progress, work, control } = this;
    const books = { files, progress, encryptionKey: this.shared.encryptionKey };
    grantBooks(this.api, BATCH_CALLS['batch-api'], books);
    grantBooks(this.controller, BATCH_CALLS['batch-control'], books);
    grantBooks(this.worker, BATCH_CALLS['job-worker'], books);
    grantSend(this.api, work.queue, control.queue);
    grantSend(this.controller, work.queue, control.queue);
    grantDelay(this.controller, control.queue);
    grantSend(this.worker, work.queue, work.deadLetterQueue, control.queue);
    if (this.webhookSecret) grantReadSecret(this.controller, this.webhookSecret);
  }

  /** By a mapping of its own and not `SqsEventSource`, which would let the function do more with the queue than Lambda does. */
  private feed(
    id: string,
    handler: HandlerFunction,
    { queue }: JobQueue,
    options: Pick<lambda.EventSourceMappingOptions, 'batchSize' | 'maxConcurrency' | 'reportBatchItemFailures'>,
  ): lambda.EventSourceMapping {
    grantFeed(handler, queue);
    const { function: target } = handler;
    return new lambda.EventSourceMapping(this, id, { target, eventSourceArn: queue.queueArn, ...options });
  }

  /** A sweep that is late or fails is not made up for: the next one finds the same. */
  private addSweep(): events.Rule {
    const once = { retryAttempts: 0, maxEventAge: SWEEP };
    this.controller.function.configureAsyncInvoke(once);
    return new events.Rule(this, 'Sweep', {
      description: 'Looks after batches that are stuck or past their time',
      schedule: events.Schedule.rate(SWEEP),
      targets: [new targets.LambdaFunction(this.controller.function, once)],
    });
  }
}
