import { describe, expect, it } from '@jest/globals';
import { Duration, RemovalPolicy, type Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import type { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Schedule } from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { DataPipeline, type DataPipelineProps, type PipelineDefinition, Retrieval } from '../../../lib';
import { newStack, templateOf } from '../synthesise';

const PARSE: PipelineDefinition = { name: 'texts', stages: [{ name: 'parse', work: { parse: {} } }] };
const MANUAL: PipelineDefinition = {
  name: 'manual',
  stages: [
    { name: 'chunk', work: { chunk: {} } },
    { name: 'embed', work: { embed: { model: 'bge-m3', dimensions: 8 } } },
  ],
  retrieval: { results: 5 },
};
const ANY = { type: 'object' };
const ownStages = (...work: PipelineDefinition['stages'][number]['work'][]): PipelineDefinition => ({
  name: 'own',
  stages: work.map((each, i) => ({ name: `stage-${i}`, work: each, input: ANY, output: ANY })),
});

const templateWith = (props: Partial<DataPipelineProps> = {}) =>
  templateOf((stack) => new DataPipeline(stack, 'Pipeline', { definition: PARSE, ...props }));

interface Statement {
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

function statements(template: Template, role: string): Statement[] {
  const policies = template.findResources('AWS::IAM::Policy', {
    Properties: { Roles: [{ Ref: Match.stringLikeRegexp(`^${role}`) }] },
  });
  return Object.values(policies).flatMap(
    ({ Properties }) => (Properties as { PolicyDocument: { Statement: Statement[] } }).PolicyDocument.Statement,
  );
}

const actionsOf = (template: Template, role: string, service: string) =>
  statements(template, role)
    .flatMap(({ Action }) => Action)
    .filter((action) => action.startsWith(`${service}:`))
    .sort();

describe('a data pipeline', () => {
  const template = templateWith();

  it('keeps what lands and what it publishes private, versioned, encrypted and logged', () => {
    const keyed = templateOf((stack) => {
      new DataPipeline(stack, 'Pipeline', { definition: PARSE, encryptionKey: new kms.Key(stack, 'Key') });
    });
    const buckets = Object.entries(keyed.findResources('AWS::S3::Bucket')).filter(([id]) => !id.includes('Logs'));
    expect(buckets).toHaveLength(2);
    for (const [, { Properties }] of buckets) {
      expect(Properties).toMatchObject({
        VersioningConfiguration: { Status: 'Enabled' },
        PublicAccessBlockConfiguration: { BlockPublicAcls: true, RestrictPublicBuckets: true },
        LoggingConfiguration: { DestinationBucketName: expect.anything() },
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [
            { BucketKeyEnabled: true, ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' } },
          ],
        },
      });
    }
  });

  it('keeps what runs have left, and the vectors of texts, for no longer than the definition says', () => {
    const rulesOf = (definition: PipelineDefinition, props: Partial<DataPipelineProps> = {}) => {
      const buckets = Object.entries(templateWith({ definition, ...props }).findResources('AWS::S3::Bucket'));
      const [, bucket] = buckets.find(([id]) => /^PipelineVersions[^L]*$/.test(id))!;
      const { LifecycleConfiguration } = bucket.Properties as {
        LifecycleConfiguration: { Rules: { Prefix?: string; ExpirationInDays?: number }[] };
      };
      const { Rules } = LifecycleConfiguration;
      return Object.fromEntries(Rules.map(({ Prefix = '', ExpirationInDays }) => [Prefix, ExpirationInDays]));
    };
    expect(rulesOf(PARSE)).toEqual({ '': undefined, 'runs/': 7, 'staging/': 30 });
    const embeddingUrl = 'https://models.example.com';
    expect(rulesOf(MANUAL, { embeddingUrl })).toMatchObject({ 'cache/': 90 });
    expect(rulesOf({ ...MANUAL, retention: { quarantineDays: 3, cacheDays: 14 } }, { embeddingUrl })).toMatchObject({
      'staging/': 3,
      'cache/': 14,
    });
  });

  it('keeps the pointer in a table that is not deleted by accident and can be restored', () => {
    template.hasResourceProperties('AWS::DynamoDB::Table', {
      KeySchema: [
        { AttributeName: 'pipeline', KeyType: 'HASH' },
        { AttributeName: 'sequence', KeyType: 'RANGE' },
      ],
      DeletionProtectionEnabled: true,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    });
    templateWith({ removalPolicy: RemovalPolicy.DESTROY }).hasResourceProperties('AWS::DynamoDB::Table', {
      DeletionProtectionEnabled: false,
    });
  });

  it('lets the worker read and write objects, and never move the pointer', () => {
    expect(actionsOf(template, 'PipelineWorkerRole', 'dynamodb')).toEqual([]);
    expect(actionsOf(template, 'PipelineWorkerRole', 's3')).toEqual([
      ...['s3:GetObject', 's3:ListBucket', 's3:ListBucket', 's3:PutObject'],
    ]);
    expect(actionsOf(template, 'PipelineStepsRole', 'dynamodb')).toEqual(['dynamodb:PutItem', 'dynamodb:Query']);
    expect(actionsOf(template, 'PipelineStepsRole', 's3')).toContain('s3:DeleteObject');
    expect(actionsOf(template, 'PipelineControlRole', 's3')).not.toContain('s3:DeleteObject');
  });

  it('lets the state machine call its functions, and run executions of itself and of no other', () => {
    expect(actionsOf(template, 'PipelineMachineRole', 'lambda')).toEqual(['lambda:InvokeFunction']);
    expect(actionsOf(template, 'PipelineMachineRole', 'states')).toEqual([
      ...['states:DescribeExecution', 'states:StartExecution', 'states:StopExecution'],
    ]);
    const start = statements(template, 'PipelineMachineRole').find(({ Action }) => Action === 'states:StartExecution');
    expect(start!.Resource).toEqual({ Ref: expect.stringMatching(/^PipelineMachineStateMachine/) });
    template.hasResourceProperties('AWS::StepFunctions::StateMachine', {
      LoggingConfiguration: Match.objectLike({ Level: 'ALL', IncludeExecutionData: false }),
      TracingConfiguration: { Enabled: true },
    });
  });

  it('starts on a schedule, or when the file lands that says all are there', () => {
    template.resourceCountIs('AWS::Events::Rule', 0);
    const scheduled = templateWith({ schedule: Schedule.rate(Duration.hours(6)) });
    scheduled.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(6 hours)',
      Targets: [Match.objectLike({ Input: '{}' })],
    });
    const triggered = templateWith({ triggerSuffix: '_READY' });
    triggered.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: Match.objectLike({
        detail: { bucket: Match.anyValue(), object: { key: [{ wildcard: 'incoming/*_READY' }] } },
      }),
    });
    triggered.hasResourceProperties('AWS::S3::Bucket', {
      NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
    });
    triggered.resourceCountIs('Custom::S3BucketNotifications', 0);
  });

  it('lets whoever lands files put them and nothing else, under the key of the bucket', () => {
    const stack = newStack();
    const encryptionKey = new kms.Key(stack, 'Key');
    const pipeline = new DataPipeline(stack, 'Pipeline', { definition: PARSE, encryptionKey });
    pipeline.grantLand(new iam.Role(stack, 'Team', { assumedBy: new iam.AccountRootPrincipal() }));
    expect(statements(Template.fromStack(stack), 'Team').map(({ Action, Resource }) => [Action, Resource])).toEqual([
      [
        ['s3:AbortMultipartUpload', 's3:PutObject'],
        { 'Fn::Join': ['', [{ 'Fn::GetAtt': [expect.stringMatching(/^PipelineLanding/), 'Arn'] }, '/incoming/*']] },
      ],
      [['kms:Decrypt', 'kms:GenerateDataKey'], { 'Fn::GetAtt': [expect.stringMatching(/^Key/), 'Arn'] }],
    ]);
  });

  it('calls the functions of its stages, by the versions that they are given in', () => {
    const called = templateOf((stack) => {
      const enrich = new lambda.Function(stack, 'Enrich', {
        ...{ code: lambda.Code.fromInline('x'), handler: 'x', runtime: lambda.Runtime.NODEJS_24_X },
      });
      new DataPipeline(stack, 'Pipeline', {
        definition: ownStages({ function: { name: 'enrich' } }),
        functions: { enrich: enrich.currentVersion },
      });
    });
    const [invoke] = statements(called, 'PipelineWorkerRole').filter(
      ({ Action }) => Action === 'lambda:InvokeFunction',
    );
    expect(invoke!.Resource).toEqual({ Ref: expect.stringMatching(/^EnrichCurrentVersion/) });
    called.hasResourceProperties('AWS::Lambda::Function', {
      Description: 'Takes records of the pipeline own through its stages',
      Environment: { Variables: Match.objectLike({ FUNCTIONS: Match.objectLike({ 'Fn::Join': Match.anyValue() }) }) },
    });
  });

  it('lets whoever it is told to land files, run, read and control', () => {
    const stack = newStack();
    const pipeline = new DataPipeline(stack, 'Pipeline', { definition: PARSE });
    const role = new iam.Role(stack, 'Team', { assumedBy: new iam.AccountRootPrincipal() });
    pipeline.grantLand(role);
    pipeline.grantRun(role);
    pipeline.grantRead(role);
    pipeline.grantControl(role);
    const actions = statements(Template.fromStack(stack), 'Team').flatMap(({ Action }) => Action);
    expect(actions).toEqual(
      expect.arrayContaining(['s3:PutObject', 'states:StartExecution', 'dynamodb:Query', 'lambda:InvokeFunction']),
    );
    expect(actions).not.toContain('dynamodb:PutItem');
  });

  it('publishes metrics under its own name', () => {
    const pipeline = new DataPipeline(newStack(), 'Pipeline', { definition: PARSE });
    const metrics = [
      ...[pipeline.metricRead(), pipeline.metricPublished(), pipeline.metricQuarantined()],
      ...[pipeline.metricFaultRate(), pipeline.metricHeld(), pipeline.metricAnomalies()],
    ];
    for (const { dimensions } of metrics) expect(dimensions).toEqual({ Pipeline: pipeline.pipelineName });
    const { usingMetrics, expression, label } = pipeline.metricFailed({ label: 'no version' });
    expect(Object.values(usingMetrics).map((metric) => (metric as Metric).metricName)).toEqual([
      ...['ExecutionsFailed', 'ExecutionsTimedOut', 'ExecutionsAborted'],
    ]);
    expect([expression, label]).toEqual(['FILL(failed, 0) + FILL(timedOut, 0) + FILL(aborted, 0)', 'no version']);
  });

  it('stands twice in one stack', () => {
    const twice = templateOf((stack) => {
      for (const id of ['One', 'Two']) {
        const pipeline = new DataPipeline(stack, id, {
          definition: MANUAL,
          embeddingUrl: 'https://models.example.com',
        });
        new Retrieval(stack, `${id}Retrieval`, { pipeline });
      }
    });
    const names = Object.values(twice.findResources('AWS::S3Vectors::VectorBucket')).map(
      ({ Properties }) =>
        (Properties as { VectorBucketName: { 'Fn::Join': [string, string[]] } }).VectorBucketName['Fn::Join'][1],
    );
    expect(new Set(names.map(([name]) => name)).size).toBe(2);
    // An id of a stack is a UUID of 36 characters, and the name of a bucket has at most 63.
    for (const [name] of names) expect(name).toMatch(/^[a-z0-9-]{3,26}-$/);
    twice.resourceCountIs('AWS::StepFunctions::StateMachine', 2);
  });
});

describe('retrieval', () => {
  function template(): Template {
    const stack = newStack();
    const encryptionKey = new kms.Key(stack, 'Key');
    const embeddingKey = new secretsmanager.Secret(stack, 'ModelKey', { encryptionKey });
    const embeddingUrl = 'https://models.example.com/v1';
    const pipeline = new DataPipeline(stack, 'Pipeline', {
      definition: MANUAL,
      embeddingUrl,
      embeddingKey,
      encryptionKey,
    });
    new Retrieval(stack, 'Retrieval', { pipeline });
    return Template.fromStack(stack);
  }

  it('asks the index that is active, embeds as the pipeline does, and writes nothing', () => {
    const found = template();
    found.hasResourceProperties('AWS::Lambda::Function', {
      Environment: {
        Variables: Match.objectLike({
          EMBEDDING_URL: 'https://models.example.com/v1',
          EMBEDDING_KEY_SECRET: Match.anyValue(),
          VECTOR_BUCKET: Match.anyValue(),
          STATE_MACHINE: Match.absent(),
        }),
      },
      Description: Match.stringLikeRegexp('^Finds records of Stack-manual-'),
    });
    expect(actionsOf(found, 'RetrievalHandlerRole', 's3vectors')).toEqual([
      ...['s3vectors:GetIndex', 's3vectors:GetVectors', 's3vectors:QueryVectors'],
    ]);
    expect(actionsOf(found, 'RetrievalHandlerRole', 'dynamodb')).toEqual(['dynamodb:Query']);
    expect(actionsOf(found, 'RetrievalHandlerRole', 's3')).toEqual([]);
  });

  it('keeps vectors under the key, which S3 Vectors may read', () => {
    const found = template();
    found.hasResourceProperties('AWS::S3Vectors::VectorBucket', {
      EncryptionConfiguration: { SseType: 'aws:kms', KmsKeyArn: Match.anyValue() },
    });
    found.hasResourceProperties('AWS::KMS::Key', {
      KeyPolicy: Match.objectLike({
        Statement: Match.arrayWith([
          Match.objectLike({ Principal: { Service: 'indexing.s3vectors.amazonaws.com' }, Action: 'kms:Decrypt' }),
        ]),
      }),
    });
  });

  it('needs an index to ask', () => {
    const stack = newStack();
    const pipeline = new DataPipeline(stack, 'Pipeline', { definition: PARSE });
    expect(() => new Retrieval(stack, 'Retrieval', { pipeline })).toThrow(
      'pipeline must have retrieval in its definition: without it there is no index to ask',
    );
  });
});

describe('a contract that cannot hold', () => {
  const refused = (propsOf: (stack: Stack) => Partial<DataPipelineProps>) => () => {
    const stack = newStack();
    new DataPipeline(stack, 'Pipeline', { definition: PARSE, ...propsOf(stack) });
  };

  it('is an error at construction that names both sides', () => {
    const gives = { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] };
    const wants = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] };
    const definition: PipelineDefinition = {
      name: 'own',
      stages: [
        { name: 'first', work: { function: { name: 'a' } }, input: ANY, output: gives },
        { name: 'second', work: { function: { name: 'b' } }, input: wants, output: wants },
      ],
    };
    expect(refused(() => ({ definition }))).toThrow(
      'stages[1].input.properties.id: does not accept what stages[0] ("first") gives in its output.properties.id',
    );
  });

  it.each<[string, Partial<DataPipelineProps>, string]>([
    [
      'no function for a stage',
      { definition: ownStages({ function: { name: 'f' } }) },
      'functions["f"] is required: the stage "stage-0" needs a Lambda function',
    ],
    ['no job for a stage', { definition: ownStages({ glueJob: { name: 'j' } }) }, 'glueJobs["j"] is required'],
    [
      'a job that no stage names',
      { glueJobs: { other: 'x' } },
      'glueJobs["other"] must be named by a stage of the definition (none)',
    ],
    ['no endpoint', { definition: MANUAL }, 'embeddingUrl is required: the stage "embed" embeds with the model bge-m3'],
    ['an endpoint for nothing', { embeddingUrl: 'https://x.example.com' }, 'embeddingUrl needs an embed stage'],
    [
      'an open endpoint',
      { definition: MANUAL, embeddingUrl: 'http://x.example.com' },
      'embeddingUrl must be an address such as',
    ],
    ['no calls at all', { maxConcurrency: 0 }, 'maxConcurrency must be a whole number from 1 to 1000, got 0'],
    [
      'a backfill above all',
      { maxConcurrency: 2, backfillConcurrency: 3 },
      'backfillConcurrency must be a whole number from 1 to maxConcurrency (2), got 3',
    ],
    [
      'more failures than calls',
      { toleratedFailurePercentage: 101 },
      'toleratedFailurePercentage must be a number from 0 to 100, got 101',
    ],
    ['a negative price', { costPerGigabyte: -1 }, 'costPerGigabyte must be a number of at least 0, got -1'],
    [
      'runs that outlast what they keep',
      { definition: { ...PARSE, retention: { quarantineDays: 1 } }, timeout: Duration.hours(25) },
      'timeout must be at most the 1 days of retention.quarantineDays, got 1 day 1 hour',
    ],
    ['a pattern as an ending', { triggerSuffix: '*' }, 'triggerSuffix must be 1 to 64 letters'],
  ])('is refused with %s', (_name, props, message) => {
    expect(refused(() => props)).toThrow(message);
  });
});

describe('a pipeline with Glue jobs', () => {
  const RECORD = { type: 'object', required: ['id'], properties: { id: { type: 'string' } } };
  const job = { name: 'job', work: { glueJob: { name: 'j' } }, input: RECORD, output: RECORD };
  const check = { name: 'check', work: { check: {} }, input: RECORD, output: RECORD };
  const build = (stages: PipelineDefinition['stages']) => {
    const stack = newStack();
    const pipeline = new DataPipeline(stack, 'Pipeline', {
      definition: { name: 'jobs', stages },
      glueJobs: { j: 'flatten' },
    });
    pipeline.grantJob(new iam.Role(stack, 'JobRole', { assumedBy: new iam.ServicePrincipal('glue.amazonaws.com') }));
    return Template.fromStack(stack);
  };

  it('may start them, and none but them, wherever they stand', () => {
    for (const stages of [
      [job, check],
      [check, job],
      [check, job, { ...check, name: 'again' }],
    ]) {
      build(stages).hasResourceProperties('AWS::IAM::Policy', {
        PolicyDocument: {
          Statement: Match.arrayWith([
            {
              Action: ['glue:BatchStopJobRun', 'glue:GetJobRun', 'glue:GetJobRuns', 'glue:StartJobRun'],
              Effect: 'Allow',
              Resource: { 'Fn::Join': ['', Match.arrayWith([Match.stringLikeRegexp('job/flatten$')])] },
            },
          ]),
        },
      });
    }
  });

  it('lets the job read what has landed only where it is the first stage, and the functions where it is not', () => {
    const reads = (template: Template, role: string) =>
      JSON.stringify(
        template.findResources('AWS::IAM::Policy', { Properties: { Roles: [{ Ref: Match.stringLikeRegexp(role) }] } }),
      );
    for (const [stages, isFirst] of [
      [[job, check], true],
      [[check, job], false],
    ] as const) {
      const template = build([...stages]);
      expect(reads(template, '^JobRole').includes('/incoming/*')).toBe(isFirst);
      expect(reads(template, '^JobRole')).toContain('/jobs/*');
      expect(reads(template, '^PipelineWorkerRole').includes('/incoming/*')).toBe(!isFirst);
    }
  });

  it('is refused where a job does not take what the stage before gives', () => {
    const other = { type: 'object', required: ['sum'], properties: { sum: { type: 'number' } } };
    expect(() => build([check, { ...job, input: other }])).toThrow(
      'stages[1].input.required: does not accept what stages[0] ("check") gives in its output.required: "sum" may be',
    );
  });

  it('has nothing to grant to a job without one', () => {
    const stack = newStack();
    const pipeline = new DataPipeline(stack, 'Pipeline', { definition: { name: 'none', stages: [check] } });
    const role = new iam.Role(stack, 'Role', { assumedBy: new iam.AccountRootPrincipal() });
    expect(() => pipeline.grantJob(role)).toThrow('grantJob needs a glueJob stage in the definition');
  });
});
