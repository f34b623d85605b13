import { describe, expect, it } from '@jest/globals';
import { Duration, NestedStack, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as kms from 'aws-cdk-lib/aws-kms';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { BatchJobs, type BatchJobsProps, InferenceApi, type InferencePolicy, ResponseCache } from '../../../lib';
import { POLICY, givenVpc, newStack } from '../synthesise';

const ELSEWHERE: InferencePolicy = {
  ...POLICY,
  backends: POLICY.backends.map(({ name }) => ({ name, url: urlOf(name) })),
};
const TOLD: InferencePolicy = {
  ...ELSEWHERE,
  tenants: [{ name: 'acme', plan: 'standard', webhook: { url: 'https://acme.example.com/hooks' } }],
};

function urlOf(name: string): string {
  return `https://${name}.example.com`;
}

function addGateway(stack: Stack, policy: InferencePolicy, id = 'Api'): InferenceApi {
  const vpc = givenVpc(new Stack(stack, `${id}Network`));
  return new InferenceApi(stack, id, { policy, vpc, store: new ResponseCache(stack, `${id}Store`, { vpc }) });
}

/** Batch jobs on a gateway of their own, in a stack. */
function build(
  props: Partial<BatchJobsProps> = {},
  policy = ELSEWHERE,
): { batch: BatchJobs; template: Template; stack: Stack } {
  const stack = newStack();
  const batch = new BatchJobs(stack, 'Batch', { gateway: addGateway(stack, policy), ...props });
  return { batch, stack, template: Template.fromStack(stack) };
}

function functionThat(
  template: Template,
  description: string,
): { Timeout: number; Environment: { Variables: object } } {
  const [found] = Object.values(
    template.findResources('AWS::Lambda::Function', { Properties: { Description: description } }),
  );
  return found!.Properties as { Timeout: number; Environment: { Variables: object } };
}

const API = 'Takes files, batches and jobs';
const CONTROL = 'Splits batches and puts their results together';
const WORKER = 'Works on the items of batches and jobs';

describe('the files of batch jobs', () => {
  const { template } = build();

  it('are private, versioned, TLS only and logged', () => {
    template.hasResource('AWS::S3::Bucket', {
      DeletionPolicy: 'Retain',
      Properties: {
        VersioningConfiguration: { Status: 'Enabled' },
        PublicAccessBlockConfiguration: {
          ...{ BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true },
        },
        OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
        LoggingConfiguration: {
          DestinationBucketName: { Ref: Match.stringLikeRegexp('^BatchAccessLogs') },
          LogFilePrefix: Match.stringLikeRegexp('^batch-files-[0-9a-f]{8}/$'),
        },
      },
    });
    template.hasResourceProperties('AWS::S3::BucketPolicy', {
      Bucket: { Ref: Match.stringLikeRegexp('^BatchFiles') },
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        ]),
      },
    });
  });

  it('are kept two days longer than the policy promises, so that no batch loses its input while it runs', () => {
    const lifecycleOf = (days: number) => ({
      LifecycleConfiguration: {
        Rules: [
          {
            ...{ Status: 'Enabled', ExpirationInDays: days },
            AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
            NoncurrentVersionExpiration: { NoncurrentDays: 1 },
          },
        ],
      },
    });
    template.hasResourceProperties('AWS::S3::Bucket', lifecycleOf(32));
    const { template: short } = build({}, { ...ELSEWHERE, batch: { retentionDays: 1 } });
    short.hasResourceProperties('AWS::S3::Bucket', lifecycleOf(3));
  });
});

describe('the books of batch jobs', () => {
  it('are kept, can be restored to any second, and forget rows when their time is over', () => {
    build().template.hasResource('AWS::DynamoDB::Table', {
      DeletionPolicy: 'Retain',
      Properties: {
        BillingMode: 'PAY_PER_REQUEST',
        DeletionProtectionEnabled: true,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'sk', KeyType: 'RANGE' },
        ],
      },
    });
  });

  it('go with the stack where that is asked for', () => {
    const { template } = build({ removalPolicy: RemovalPolicy.DESTROY });
    template.hasResource('AWS::DynamoDB::Table', {
      DeletionPolicy: 'Delete',
      Properties: { DeletionProtectionEnabled: false, TimeToLiveSpecification: Match.anyValue() },
    });
    template.hasResource('AWS::S3::Bucket', { DeletionPolicy: 'Delete', Properties: { VersioningConfiguration: {} } });
  });
});

describe('the queues of batch jobs', () => {
  const { template } = build();
  const visibility = (description: string) => functionThat(template, description).Timeout * 6;

  it('hide a message for six times as long as its function may run', () => {
    template.hasResourceProperties('AWS::SQS::Queue', {
      RedrivePolicy: { maxReceiveCount: 100, deadLetterTargetArn: Match.anyValue() },
      VisibilityTimeout: visibility(WORKER),
    });
    template.hasResourceProperties('AWS::SQS::Queue', {
      RedrivePolicy: { maxReceiveCount: 5, deadLetterTargetArn: Match.anyValue() },
      VisibilityTimeout: visibility(CONTROL),
    });
    expect([visibility(WORKER), visibility(CONTROL)]).toEqual([690 * 6, 900 * 6]);
  });

  it.each([
    ['the longest chain of backends', 120_500, 120_500 * 2 + 90_000],
    ['as long as Lambda lets it', 870_000, 900_000],
  ])('let a worker run for %s', (_, totalMs, expectedMs) => {
    const backends = ELSEWHERE.backends.map((backend) => ({ ...backend, timeouts: { totalMs } }));
    expect(functionThat(build({}, { ...ELSEWHERE, backends }).template, WORKER).Timeout).toBe(expectedMs / 1000);
  });

  it.each([
    [undefined, 10, 5],
    [13, 2, 5],
    [10_000, 1000, 10],
  ])('give out %p items at once: %i workers, %i items each', (parallelItems, workers, itemsEach) => {
    const batch = parallelItems === undefined ? {} : { batch: { parallelItems } };
    build({}, { ...ELSEWHERE, ...batch }).template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      EventSourceArn: { 'Fn::GetAtt': [Match.stringLikeRegexp('^BatchWorkQueue'), 'Arn'] },
      FunctionName: { Ref: Match.stringLikeRegexp('^BatchWorker') },
      ...{ BatchSize: itemsEach, ScalingConfig: { MaximumConcurrency: workers } },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    });
  });

  it('give the controller one batch at a time, and have it look after all of them every five minutes', () => {
    template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      FunctionName: { Ref: Match.stringLikeRegexp('^BatchController') },
      ...{ BatchSize: 1, ScalingConfig: { MaximumConcurrency: 20 } },
    });
    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(5 minutes)',
      Targets: [Match.objectLike({ Arn: { 'Fn::GetAtt': [Match.stringLikeRegexp('^BatchController'), 'Arn'] } })],
    });
    template.hasResourceProperties('AWS::Lambda::EventInvokeConfig', { MaximumRetryAttempts: 0 });
  });
});

describe('the functions of batch jobs', () => {
  const { template, batch, stack } = build({}, TOLD);
  const own = ['BATCH_BUCKET', 'BATCH_TABLE', 'WORK_QUEUE_URL', 'CONTROL_QUEUE_URL', 'DEAD_LETTER_QUEUE_URL'];
  const common = [...own, 'METRICS_NAMESPACE', 'SERVICE_NAME', 'WEBHOOK_SECRET_ARN'];

  it.each([API, CONTROL, WORKER])('know where everything is: %s', (description) => {
    const { Variables } = functionThat(template, description).Environment;
    expect(Object.keys(Variables)).toEqual(expect.arrayContaining(common));
    expect(functionThat(template, description)).toMatchObject({
      Layers: [{ Ref: expect.stringContaining('PolicyLayer') }],
    });
  });

  it('keep a worker where the gateway’s own function is, with all that it has', () => {
    const gateway = functionThat(template, 'Serves inference requests').Environment.Variables;
    const worker = functionThat(template, WORKER).Environment.Variables;
    expect(worker).toMatchObject({ ...gateway, SERVICE_NAME: stack.resolve(batch.serviceName) as string });
    expect(worker).toMatchObject({ STORE_URL: expect.anything() as object, EVENT_BUS: expect.anything() as object });
    expect(functionThat(template, WORKER)).toMatchObject({ VpcConfig: { SubnetIds: expect.any(Array) } });
    for (const outside of [API, CONTROL]) expect(functionThat(template, outside)).not.toHaveProperty('VpcConfig');
  });

  it('let a worker reach the store and its backends by rules of its own', () => {
    const rules = Object.values(template.findResources('AWS::EC2::SecurityGroupIngress')).map(
      ({ Properties }) => Properties as { SourceSecurityGroupId: object; Description: string },
    );
    const ofWorker = rules.filter(({ SourceSecurityGroupId }) =>
      JSON.stringify(SourceSecurityGroupId).includes('BatchWorker'),
    );
    expect(ofWorker.map(({ Description }) => Description)).toEqual(['Store of limits, breakers and cached answers']);
  });

  it('count apart from the gateway’s interactive requests', () => {
    expect(batch.serviceName).not.toBe(stack.resolve('Stack'));
    const metrics = [
      batch.metricItemsCompleted(),
      batch.metricItemsFailed(),
      batch.metricItemsDeferred(),
      batch.metricItemTime(),
    ];
    expect(metrics.map(({ metricName, statistic }) => [metricName, statistic])).toEqual([
      ['BatchItemsCompleted', 'Sum'],
      ['BatchItemsFailed', 'Sum'],
      ['BatchItemsDeferred', 'Sum'],
      ['BatchItemSeconds', 'p99'],
    ]);
    for (const { namespace, dimensions } of metrics) {
      expect([namespace, dimensions]).toEqual(['InferencePlatform', { Service: batch.serviceName }]);
    }
    expect(batch.metricItemsFailed({ period: Duration.minutes(1) }).period.toSeconds()).toBe(60);
  });

  it('sign webhooks by a generated secret, where a tenant has one, that the controller alone may read', () => {
    template.hasResource('AWS::SecretsManager::Secret', {
      DeletionPolicy: 'Retain',
      Properties: { GenerateSecretString: { PasswordLength: 64, ExcludePunctuation: true } },
    });
    const readers = Object.values(template.findResources('AWS::IAM::Policy')).filter((policy) =>
      JSON.stringify(policy).includes('secretsmanager:'),
    );
    expect(readers.map(({ Properties }) => (Properties as { Roles: unknown }).Roles)).toEqual([
      [{ Ref: expect.stringMatching('^BatchController') }],
    ]);
    const { template: untold, batch: silent } = build();
    untold.resourceCountIs('AWS::SecretsManager::Secret', 0);
    expect(silent.webhookSecret).toBeUndefined();
    expect(functionThat(untold, CONTROL).Environment.Variables).not.toHaveProperty('WEBHOOK_SECRET_ARN');
  });
});

describe('the routes of batch jobs', () => {
  const { template } = build();
  const methods = Object.values(
    template.findResources('AWS::ApiGateway::Method', {
      Properties: { Integration: { Uri: { 'Fn::Join': Match.anyValue() } } },
    }),
  ).map(({ Properties }) => Properties as Record<string, unknown> & { Integration: { Uri: object } });
  const ofBatches = methods.filter(({ Integration }) => JSON.stringify(Integration.Uri).includes('BatchApi'));

  it('are for the gateway’s callers, under their usage plans, checked and streamed', () => {
    expect(ofBatches).toHaveLength(13);
    for (const method of ofBatches) {
      expect(method).toMatchObject({
        ...{ AuthorizationType: 'CUSTOM', ApiKeyRequired: true },
        AuthorizerId: { Ref: expect.stringMatching('^ApiKeyAuthorizer') },
        RequestValidatorId: { Ref: expect.stringMatching('^ApiBody') },
        Integration: { Type: 'AWS_PROXY', ResponseTransferMode: 'STREAM' },
      });
    }
  });

  it('take a file as a form, and refuse a batch or an announced file that lacks what the protocol demands', () => {
    template.hasResourceProperties('AWS::ApiGateway::RestApi', { BinaryMediaTypes: ['multipart/form-data'] });
    const required = Object.values(template.findResources('AWS::ApiGateway::Model')).map(({ Properties }) => {
      const { Name, Schema } = Properties as { Name?: string; Schema: { title: string; required?: string[] } };
      expect(Name).toBeUndefined();
      return [Schema.title, Schema.required];
    });
    expect(required).toEqual(
      expect.arrayContaining([
        ['File', ['purpose', 'filename', 'bytes']],
        ['Batch', ['input_file_id', 'endpoint', 'completion_window']],
        ['Job', undefined],
      ]),
    );
  });
});

describe('batch jobs', () => {
  it('stand twice in one stack, each on a gateway of its own, with queues of different names', () => {
    const stack = newStack();
    for (const id of ['First', 'Second']) {
      new BatchJobs(stack, `${id}Batch`, { gateway: addGateway(stack, ELSEWHERE, id) });
    }
    const template = Template.fromStack(stack);
    const names = Object.values(template.findResources('AWS::SQS::Queue')).flatMap(({ Properties }) => {
      const { QueueName } = Properties as { QueueName?: object };
      return QueueName ? [JSON.stringify(QueueName)] : [];
    });
    expect([names.length, new Set(names).size]).toEqual([4, 4]);
  });

  it('encrypt all that they keep on a given key, and let each function use it for what it writes', () => {
    const stack = newStack();
    const encryptionKey = kms.Key.fromKeyArn(stack, 'Given', Token.asString({ 'Fn::ImportValue': 'KeyArn' }));
    const gateway = addGateway(stack, TOLD);
    new BatchJobs(stack, 'Batch', { gateway, encryptionKey, logRetention: RetentionDays.ONE_WEEK });
    const template = Template.fromStack(stack);
    const key = { 'Fn::ImportValue': 'KeyArn' };
    template.hasResourceProperties('AWS::S3::Bucket', {
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          {
            BucketKeyEnabled: true,
            ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: key },
          },
        ],
      },
    });
    template.hasResourceProperties('AWS::DynamoDB::Table', { SSESpecification: { KMSMasterKeyId: key } });
    template.allResourcesProperties('AWS::SQS::Queue', { KmsMasterKeyId: Match.anyValue() });
    template.allResourcesProperties('AWS::SecretsManager::Secret', { KmsKeyId: key });
    for (const description of [API, CONTROL, WORKER]) {
      expect(functionThat(template, description)).toMatchObject({ KmsKeyArn: key });
    }
    const writers = Object.values(template.findResources('AWS::IAM::Policy')).filter((policy) =>
      JSON.stringify(policy).includes('kms:GenerateDataKey'),
    );
    expect(writers).toHaveLength(3);
  });

  it('are refused beside the stack of their gateway, since API and function refer to each other', () => {
    const stack = newStack();
    const gateway = addGateway(stack, ELSEWHERE);
    expect(() => new BatchJobs(new NestedStack(stack, 'Nested'), 'Batch', { gateway })).toThrow(
      'handler must be in the stack of the API ("Stack"), got "Stack/Nested/Batch/Api": ' +
        'API and function refer to each other, which stacks cannot',
    );
  });
});
