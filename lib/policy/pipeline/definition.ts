import type { PipelineMonitors } from './monitors';
import type { RetentionSettings, RetrievalSettings } from './publishing';
import type { StageRule } from './rules';
import type { StageWork } from './stage-work';

/**
 * A data pipeline as plain data: what comes in, the stages that it passes, and when a version may be published.
 *
 * The `DataPipeline` construct renders it into a state machine, the handlers obey it, and
 * `cdk-inference-platform pipeline run` runs the same stage code on files. It imports nothing of AWS and holds no secret.
 */
export interface PipelineDefinition {
  /** Unique name: lower-case letters, digits and hyphens, a letter or digit at each end, at most 63 characters. */
  readonly name: string;

  /**
   * What is read, and how.
   *
   * @default - every file whose ending says what it holds
   */
  readonly source?: PipelineSource;

  /** What records pass, in order. At least one; names are unique. Each must accept what the one before it gives. */
  readonly stages: PipelineStage[];

  /**
   * Sets of values that `reference` rules look up. Names are unique.
   *
   * @default - none
   */
  readonly references?: ReferenceSet[];

  /**
   * The largest share of the records read that may be in quarantine in a version that is published, 0 to 1. Above it
   * the version stays in staging.
   *
   * @default 0.01
   */
  readonly mostFaultRate?: number;

  /**
   * What is watched in each version.
   *
   * @default - volume, completeness and nulls, with the thresholds of `PipelineMonitors`
   */
  readonly monitors?: PipelineMonitors;

  /**
   * How long versions and quarantined records are kept.
   *
   * @default - the last 10 versions; quarantine for 30 days
   */
  readonly retention?: RetentionSettings;

  /**
   * The vector index that published versions fill. Needs an `embed` stage.
   *
   * @default - no index
   */
  readonly retrieval?: RetrievalSettings;
}

/** What a pipeline reads. */
export interface PipelineSource {
  /**
   * What the files hold. Without it the ending says so: `.jsonl` and `.ndjson` are JSON lines, `.csv` is CSV, `.md`,
   * `.markdown` and `.txt` are documents, and other files are left alone.
   *
   * @default - by each file's ending
   */
  readonly format?: RecordFormat;

  /**
   * Endings of the names of files that are read, such as `.md` or `LICENSE`. Needs a `format`.
   *
   * @default - the endings of the format
   */
  readonly endings?: string[];

  /**
   * The largest record, 1 to 67,108,864 bytes. A larger one is quarantined and never held in memory.
   *
   * @default 1048576
   */
  readonly mostRecordBytes?: number;

  /**
   * The field that says when a record's event happened, a `date-time`: the watermark of the freshness monitor.
   *
   * @default - records have no time
   */
  readonly timeField?: string;
}

/** What a file holds. */
export enum RecordFormat {
  /** One JSON object a line. */
  JSON_LINES = 'jsonLines',
  /** Comma-separated values; the first line names the fields. Every value is a string; an empty one is left out. */
  CSV = 'csv',
  /** The whole file is one text: a record `{ uri, text, mediaType }`. */
  DOCUMENT = 'document',
}

/** One stage: a contract of what goes in and out, what does the work, and what happens to a record that breaks it. */
export interface PipelineStage {
  /** Unique name: lower-case letters, digits and hyphens, at most 63 characters. */
  readonly name: string;

  /** What does the work: exactly one of its fields. */
  readonly work: StageWork;

  /**
   * JSON Schema of a record that goes in, an object. The keywords that are allowed are listed in
   * docs/data-pipeline/contract.md; any other is refused by name.
   *
   * @default - what a bundled stage needs, and whatever the stage before it gives; required for a function or Glue job
   */
  readonly input?: Record<string, unknown>;

  /**
   * JSON Schema of a record that comes out.
   *
   * @default - what a bundled stage makes of its input; required for a function or Glue job
   */
  readonly output?: Record<string, unknown>;

  /**
   * What each record that comes out must satisfy besides the schema. Names are unique within the stage.
   *
   * @default - none
   */
  readonly rules?: StageRule[];

  /**
   * What happens to a record that breaks the contract.
   *
   * @default FaultAction.QUARANTINE
   */
  readonly onFault?: FaultAction;
}

/** What happens to a record that breaks a stage's contract. */
export enum FaultAction {
  /** It is set aside with its stage, rule, reason, file and offset; the others go on. */
  QUARANTINE = 'quarantine',
  /** The run stops and publishes nothing. */
  STOP = 'stop',
}

/** A set of values that records may refer to. */
export interface ReferenceSet {
  /** Name that rules use: lower-case letters, digits and hyphens. */
  readonly name: string;

  /** JSON lines or CSV file with the values: a path below the directory of references, or a key below their prefix. */
  readonly file: string;

  /** The field of the file that holds the values, strings or numbers. */
  readonly field: string;
}
