import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

/** A Glue job that is the work of a stage. */
export interface WorkflowJob {
  readonly stage: string;
  readonly jobName: string;
}

/** What a pipeline's state machine is made of: names and ARNs, which may be tokens. */
export interface WorkflowSettings {
  /** Does one step of a run, or a batch of shards. */
  readonly workerArn: string;
  readonly stepsArn: string;
  readonly bucketName: string;
  readonly landingBucketName: string;
  /** What the keys of landed files begin with. */
  readonly incomingPrefix: string;
  /** What the keys of plans and results begin with. */
  readonly runsPrefix: string;
  /** What the keys of a Glue job's output begin with. */
  readonly jobsPrefix: string;
  /** The Glue jobs among the stages, in their order. */
  readonly jobs: readonly WorkflowJob[];
  /** Whether the first of them is the first stage, so that it reads what has landed. */
  readonly startsWithJob: boolean;
  /** A function that has the last word on a version, where there is one. */
  readonly gateArn?: string;
  readonly holdsOnAnomaly: boolean;
  readonly hasIndex: boolean;
  /** Whether a run without `asOf` is for the time of its start. */
  readonly needsTime: boolean;
  readonly childType: 'EXPRESS' | 'STANDARD';
  /** Whether what has landed can be read only once it was scanned. */
  readonly waitsForScan: boolean;
  readonly shardsPerBatch: number;
  readonly maxConcurrency: number;
  readonly backfillConcurrency: number;
  readonly toleratedFailurePercentage: number;
  readonly timeoutSeconds: number;
}

/** What Lambda itself may fail with, and AWS services that the functions call: worth another try. */
const PASSING_ERRORS = [
  'Lambda.ServiceException',
  'Lambda.AWSLambdaException',
  'Lambda.SdkClientException',
  'Lambda.TooManyRequestsException',
  'Lambda.Unknown',
  'Sandbox.Timedout',
  'AwsError',
];
const RETRY = {
  ErrorEquals: PASSING_ERRORS,
  IntervalSeconds: 2,
  MaxAttempts: 6,
  BackoffRate: 2,
  MaxDelaySeconds: 60,
  JitterStrategy: 'FULL',
};
/** An endpoint that embeds may be busy or away for a while; a shard that is done is not done again. */
const RETRY_SHARDS = {
  ErrorEquals: ['States.TaskFailed'],
  IntervalSeconds: 10,
  MaxAttempts: 3,
  BackoffRate: 3,
  MaxDelaySeconds: 120,
  JitterStrategy: 'FULL',
};

/** A record has stopped the run: it would do so again. */
const NO_RETRY = { ErrorEquals: ['PipelineStopped'], MaxAttempts: 0 };

/** A file that has just landed is scanned within minutes, a large archive later: this waits for some 80 minutes. */
const RETRY_SCAN = {
  ErrorEquals: ['NotYetScanned'],
  IntervalSeconds: 30,
  MaxAttempts: 20,
  BackoffRate: 1.5,
  MaxDelaySeconds: 300,
};

/** As many bytes of shards as fit into one call of Step Functions, with room for the rest of the event. */
const MOST_BATCH_BYTES = 180_000;

/** An expression of JSONata, as states write it. */
const expression = (text: string) => `{% ${text} %}`;

/**
 * The definition of a pipeline's state machine, in the States Language with JSONata: plan, a distributed map over the
 * shards, audit, gate, publish, index, tidy. Where a stage is a Glue job, what comes before it is a leg of its own: planned,
 * mapped and audited before the job is given its records. Nothing is published by an execution that fails, and a version
 * that is held back is a failed execution.
 */
export function workflowOf(scope: Construct, settings: WorkflowSettings): Readonly<Record<string, unknown>> {
  const { partition } = Stack.of(scope);
  const { jobs, gateArn, hasIndex } = settings;
  const call = (payload: object, functionArn = settings.stepsArn) => callOf(partition, functionArn, payload);
  const first = settings.startsWithJob ? 'Job' : 'Plan';
  return {
    Comment: 'Validates what has landed, and publishes it as a version',
    QueryLanguage: 'JSONata',
    TimeoutSeconds: settings.timeoutSeconds,
    StartAt: 'Begin',
    States: {
      Begin: {
        Type: 'Pass',
        Assign: {
          request: expression(requestOf(settings.needsTime)),
          concurrency: expression(
            `$states.input.backfill = true ? ${settings.backfillConcurrency} : ${settings.maxConcurrency}`,
          ),
          again: expression('$states.input.again = true'),
          ...(jobs.length > 0 && {
            jobs: expression(`'${settings.jobsPrefix}' & $states.context.Execution.Name & '/'`),
          }),
        },
        Next: hasIndex ? 'Asked' : first,
      },
      ...(hasIndex && {
        Asked: {
          Type: 'Choice',
          Choices: [{ Condition: expression('$exists($states.input.index)'), Next: 'FillAgain' }],
          Default: first,
        },
        // After a roll-back: the data is published already.
        ...indexOf(expression('$states.context.Execution.Input.index'), 'Again', 'IsSwitched', call),
      }),
      ...legsOf(settings, partition),
      Audit: {
        ...call({ step: 'audit', run: expression('$run') }),
        Assign: { audit: expression('$states.result.Payload') },
        Next: 'MayPublish',
      },
      MayPublish: {
        Type: 'Choice',
        Choices: [
          { Condition: expression('$audit.isHeld'), Next: 'Held' },
          ...(settings.holdsOnAnomaly
            ? [{ Condition: expression('$count($audit.anomalies) > 0'), Next: 'Anomalous' }]
            : []),
        ],
        Default: gateArn === undefined ? 'Publish' : 'Gate',
      },
      Held: failure('VersionHeld', `'version ' & $audit.version & ' is held: ' & $audit.held`),
      ...(settings.holdsOnAnomaly && {
        Anomalous: failure(
          'VersionHeld',
          `'version ' & $audit.version & ' is held for anomalies: ' & $join($audit.anomalies.monitor, ', ')`,
        ),
      }),
      ...(gateArn !== undefined && {
        Gate: { ...call({ audit: expression('$audit') }, gateArn), Next: 'GateSays' },
        GateSays: {
          Type: 'Choice',
          Choices: [{ Condition: expression('$states.input.publish = true'), Next: 'Publish' }],
          Default: 'Refused',
        },
        Refused: failure('VersionRefused', `'the gate does not let version ' & $audit.version & ' through'`),
      }),
      Publish: {
        ...call({
          ...{ step: 'publish', run: expression('$run'), sequence: expression('$sequence') },
          again: expression('$again'),
        }),
        Next: 'IsPublished',
      },
      IsPublished: {
        Type: 'Choice',
        Choices: [
          { Condition: expression(`$states.input.outcome = 'overtaken'`), Next: 'Overtaken' },
          { Condition: expression(`$states.input.outcome = 'rolledBack'`), Next: 'RolledBack' },
        ],
        Default: hasIndex ? 'Fill' : 'Tidy',
      },
      Overtaken: failure(
        'Overtaken',
        `'version ' & $audit.version & ' was overtaken: another run or a roll-back has moved the pointer since this run began'`,
      ),
      RolledBack: failure(
        'RolledBack',
        `'version ' & $audit.version & ' was rolled back from, and is not published again: mend what made it, or start an execution with {"again": true}'`,
      ),
      ...(hasIndex && indexOf(expression('$audit.version'), '', 'Tidy', call)),
      Tidy: {
        ...call({ step: 'tidy', run: expression('$run') }),
        ...(hasIndex ? { Next: 'IsSwitched' } : { End: true }),
      },
      ...(hasIndex && {
        IsSwitched: {
          Type: 'Choice',
          Choices: [{ Condition: expression('$index.isSwitched'), Next: 'Done' }],
          Default: 'IndexKept',
        },
        IndexKept: failure(
          'IndexKept',
          `$exists($index.overtakenBy) ? 'version ' & $index.overtakenBy & ' was published meanwhile: its index is the one to answer' : 'the index of the version before still answers: the new one missed ' & $string($index.missed) & ' queries of the golden set'`,
        ),
        Done: { Type: 'Succeed' },
      }),
    },
  };
}

/** Fills the index of a version, in as many calls as that takes, and switches to it. */
function indexOf(
  version: string,
  own: string,
  next: string,
  call: (payload: object) => object,
): Record<string, object> {
  return {
    [`Fill${own}`]: { ...call({ step: 'fill', version }), Next: `IsFilled${own}` },
    [`IsFilled${own}`]: {
      Type: 'Choice',
      Choices: [{ Condition: expression('$states.input.isFilled'), Next: `Index${own}` }],
      Default: `Fill${own}`,
    },
    [`Index${own}`]: {
      ...call({ step: 'index', version }),
      Assign: { index: expression('$states.result.Payload') },
      Next: next,
    },
  };
}

/** The legs of a run, each followed by a Glue job or, the last one, by the audit of the version. */
function legsOf(settings: WorkflowSettings, partition: string): Record<string, object> {
  const { jobs, startsWithJob } = settings;
  const legs = jobs.length + (startsWithJob ? 0 : 1);
  return Object.assign(
    {},
    ...Array.from({ length: legs }, (_, leg) => {
      const after = startsWithJob ? jobs[leg] : jobs[leg - 1];
      return legOf(leg, after, startsWithJob ? jobs[leg + 1] : jobs[leg], settings, partition);
    }),
  ) as Record<string, object>;
}

/**
 * @param after the job whose output the leg reads, none for what has landed
 * @param before the job that the leg's records are for
 */
function legOf(
  leg: number,
  after: WorkflowJob | undefined,
  before: WorkflowJob | undefined,
  settings: WorkflowSettings,
  partition: string,
): Record<string, object> {
  const number = (index: number) => (index === 0 ? '' : String(index + 1));
  const own = number(leg);
  const call = (payload: object) => callOf(partition, settings.stepsArn, payload);
  const prefix = after ? expression(`$jobs & '${after.stage}/output/'`) : settings.incomingPrefix;
  const audit = before ? `HandOver${own}` : 'Audit';
  const files = { leg, prefix, isJobOutput: after !== undefined };
  return {
    ...(after && { [`Job${own}`]: { ...jobOf(after, leg, settings, partition), Next: `Plan${own}` } }),
    [`Plan${own}`]: {
      ...call({
        ...{ step: 'plan', request: expression('$request'), ...files },
        ...(leg > 0 && { after: expression('$run') }),
      }),
      Assign: {
        run: expression('$states.result.Payload.run'),
        // Only from where the pointer stood at the beginning may it be moved.
        ...(leg === 0 && { sequence: expression('$states.result.Payload.sequence') }),
        plan: expression('$states.result.Payload.plan'),
      },
      Next: `AnyShards${own}`,
    },
    [`AnyShards${own}`]: {
      Type: 'Choice',
      Choices: [{ Condition: expression('$states.input.shards > 0'), Next: `Shards${own}` }],
      Default: audit,
    },
    [`Shards${own}`]: {
      ...shardsOf(settings, partition, files, own),
      // The audit says what stopped the run, or how many shards have failed.
      Catch: [{ ErrorEquals: ['States.ExceedToleratedFailureThreshold'], Next: audit }],
      Next: audit,
    },
    ...(before && {
      [`HandOver${own}`]: {
        ...call({
          ...{ step: 'handOver', leg, run: expression('$run') },
          prefix: expression(`$jobs & '${before.stage}/input/'`),
        }),
        Assign: { audit: expression('$states.result.Payload') },
        Next: `MayGoOn${own}`,
      },
      [`MayGoOn${own}`]: {
        Type: 'Choice',
        Choices: [{ Condition: expression('$audit.isHeld'), Next: 'Held' }],
        Default: `Job${number(leg + 1)}`,
      },
    }),
  };
}

/** A Glue job reads what has landed, or what the leg before gave it, and writes where the next leg looks. */
function jobOf({ stage, jobName }: WorkflowJob, leg: number, settings: WorkflowSettings, partition: string): object {
  const folder = `'s3://' & '${settings.bucketName}' & '/' & $jobs & '${stage}/'`;
  return {
    Type: 'Task',
    Resource: `arn:${partition}:states:::glue:startJobRun.sync`,
    Arguments: {
      JobName: jobName,
      Arguments: {
        '--input':
          leg === 0
            ? `s3://${settings.landingBucketName}/${settings.incomingPrefix}`
            : expression(`${folder} & 'input/'`),
        '--output': expression(`${folder} & 'output/'`),
      },
    },
    Retry: [
      {
        ErrorEquals: ['Glue.ConcurrentRunsExceededException'],
        IntervalSeconds: 60,
        MaxAttempts: 10,
        BackoffRate: 1.5,
      },
    ],
  };
}

function callOf(partition: string, functionArn: string, payload: object) {
  return {
    Type: 'Task',
    Resource: `arn:${partition}:states:::lambda:invoke`,
    Arguments: { FunctionName: functionArn, Payload: payload },
    Retry: [RETRY],
    Output: expression('$states.result.Payload'),
  };
}

/** What of an execution's input is asked of the plan; an execution may have any other input besides. */
function requestOf(needsTime: boolean): string {
  const asked = `$sift($states.input, function($value, $name) { $name in ['asOf', 'redrive', 'mostCost'] })`;
  const preset = needsTime ? `{ 'asOf': $states.context.Execution.StartTime }` : '{}';
  return `$merge([${preset}, ${asked}])`;
}

function failure(error: string, cause: string): object {
  return { Type: 'Fail', Error: error, Cause: expression(cause) };
}

/** A child execution for each batch of shards of the plan. */
function shardsOf(settings: WorkflowSettings, partition: string, files: object, own: string): object {
  return {
    Type: 'Map',
    Label: `Shards${own}`,
    ItemReader: {
      Resource: `arn:${partition}:states:::s3:getObject`,
      ReaderConfig: { InputType: 'JSONL' },
      Arguments: { Bucket: settings.bucketName, Key: expression('$plan') },
    },
    ItemBatcher: {
      MaxItemsPerBatch: settings.shardsPerBatch,
      MaxInputBytesPerBatch: MOST_BATCH_BYTES,
      BatchInput: { run: expression('$run'), ...files },
    },
    MaxConcurrency: expression('$concurrency'),
    ToleratedFailurePercentage: settings.toleratedFailurePercentage,
    ItemProcessor: {
      ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: settings.childType },
      StartAt: `Work${own}`,
      States: {
        // No two states of a machine have one name, wherever they stand.
        [`Work${own}`]: {
          Type: 'Task',
          Resource: `arn:${partition}:states:::lambda:invoke`,
          Arguments: { FunctionName: settings.workerArn, Payload: expression('$states.input') },
          Retry: [NO_RETRY, ...(settings.waitsForScan ? [RETRY_SCAN] : []), RETRY, RETRY_SHARDS],
          Output: expression('$states.result.Payload'),
          End: true,
        },
      },
    },
    ResultWriter: {
      Resource: `arn:${partition}:states:::s3:putObject`,
      Arguments: { Bucket: settings.bucketName, Prefix: expression(`'${settings.runsPrefix}' & $run & '/results'`) },
    },
  };
}
