import type { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type * as events from 'aws-cdk-lib/aws-events';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type { IEmbedder } from '../handlers/interfaces';
import type { PipelineDefinition } from '../policy/pipeline/definition';
import type { LogBucket } from '../security/log-bucket';

/** What a pipeline does, wherever it stands. */
export interface PipelineSettings {
  /** What comes in, the stages that it passes, and when a version may be published. */
  readonly definition: PipelineDefinition;

  /**
   * The functions of the definition's `function` stages, by the name that the stage uses: versions, such as
   * `fn.currentVersion`, so that changed code is another function, and a run with it another run.
   *
   * @default - the definition has no such stage
   */
  readonly functions?: Record<string, lambda.IVersion>;

  /**
   * Names of the Glue jobs of the definition's `glueJob` stages, by the name that the stage uses.
   *
   * @default - the definition has no such stage
   */
  readonly glueJobs?: Record<string, string>;

  /**
   * When runs start, besides those that are started by hand.
   *
   * @default - no schedule
   */
  readonly schedule?: events.Schedule;

  /**
   * Ending of the name of a file below `incoming/` that starts a run when it lands, such as `_READY`: written last, it says that all
   * others are there. With `malwareScan`, the run starts when this file is scanned, and waits for those that are not yet.
   *
   * @default - no file starts a run
   */
  readonly triggerSuffix?: string;

  /**
   * Whether GuardDuty scans what lands, and what is not clean cannot be read: it is quarantined, with rule `scan`.
   *
   * @default false
   */
  readonly malwareScan?: boolean;

  /**
   * Calls for shards in progress at one time, 1 to 1,000.
   *
   * @default 10
   */
  readonly maxConcurrency?: number;

  /**
   * The same for a run that is started with `{"backfill": true}`, at most `maxConcurrency`.
   *
   * @default - a quarter of `maxConcurrency`
   */
  readonly backfillConcurrency?: number;

  /**
   * Share of the calls for shards that may fail before the run is given up, 0 to 100. A version of which a shard has
   * failed is not published: more than 0 lets a run do what it can, and the next one only what is left.
   *
   * @default 0
   */
  readonly toleratedFailurePercentage?: number;

  /**
   * What the work on a gigabyte of input is expected to cost, in your currency: a run that is started with
   * `{"mostCost": N}` ends before it begins where it would cost more.
   *
   * @default - no run may set a ceiling
   */
  readonly costPerGigabyte?: number;

  /**
   * A function that has the last word: invoked with `{"audit": {"version", "counts", "faultRate", "anomalies"}}`, it must
   * answer `{"publish": true}`.
   *
   * @default - what passes the audit is published
   */
  readonly publishGate?: lambda.IFunction;

  /**
   * Whether a version that a monitor finds anomalous is held back.
   *
   * @default false - it is published, and the alarm says so
   */
  readonly holdOnAnomaly?: boolean;

  /**
   * The longest that a run may take, at most the definition's `retention.quarantineDays`: what it keeps between its steps is
   * deleted after them.
   *
   * @default Duration.hours(12)
   */
  readonly timeout?: Duration;

  /**
   * Memory in MB of the function that takes records through the stages.
   *
   * @default 2048
   */
  readonly memorySize?: number;

  /**
   * How long files that have landed are kept. Shorter than the retention of versions means that what was quarantined can
   * no longer be redriven.
   *
   * @default - they are kept
   */
  readonly landingRetention?: Duration;
}

/** Properties of a data pipeline. */
export interface DataPipelineProps extends PipelineSettings {
  /**
   * Address of the OpenAI-compatible endpoint of an `embed` stage, such as `api.baseUrl` of the platform.
   *
   * @default - the definition has no such stage, or an `embedder` embeds
   */
  readonly embeddingUrl?: string;

  /**
   * The key for that endpoint, as text. A tenant of its own, on a small plan, keeps the pipeline below live traffic.
   *
   * @default - the endpoint wants no key
   */
  readonly embeddingKey?: secretsmanager.ISecret;

  /**
   * What embeds, in place of `embeddingUrl`: the function of a platform. Goes with `embeddingTenant`.
   *
   * @default - `embeddingUrl`, or the definition has no such stage
   */
  readonly embedder?: IEmbedder;

  /**
   * Tenant of the platform's policy in whose name the embedder works.
   *
   * @default - no `embedder`
   */
  readonly embeddingTenant?: string;

  /**
   * Namespace of the metrics.
   *
   * @default 'InferencePlatform'
   */
  readonly metricsNamespace?: string;

  /**
   * Encrypts buckets, table, logs and environments. Its policy must let CloudWatch Logs use it, as `PlatformKey` does.
   *
   * @default - encrypted by the services' own keys
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * Bucket for the access logs of the buckets.
   *
   * @default - a new `LogBucket` for each
   */
  readonly logBucket?: LogBucket;

  /**
   * How long logs are kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to buckets, table and logs when they leave the stack.
   *
   * @default RemovalPolicy.RETAIN - vectors and the log of runs: RETAIN_ON_UPDATE_OR_DELETE
   */
  readonly removalPolicy?: RemovalPolicy;
}
