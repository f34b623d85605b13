import { describe, expect, it } from '@jest/globals';
import { Duration } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Balancing, InferencePlatform, ModelKind, PlatformKey } from '../../../lib';
import { FLEETS, POLICY, givenVpc, newStack, templateOf } from '../synthesise';

describe('an inference platform', () => {
  const template = templateOf((stack) => new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS }));

  it('spreads over three zones, with no public address but those of the NAT gateways', () => {
    template.resourceCountIs('AWS::EC2::Subnet', 6);
    template.allResourcesProperties('AWS::EC2::Subnet', { MapPublicIpOnLaunch: false });
    template.resourceCountIs('AWS::EC2::NatGateway', 3);
    template.allResourcesProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', { Scheme: 'internal' });
  });

  it('encrypts everything that it stores on its own key', () => {
    const key = { 'Fn::GetAtt': [Match.stringLikeRegexp('PlatformKey'), 'Arn'] };
    template.hasResourceProperties('AWS::KMS::Key', { EnableKeyRotation: true });
    template.allResourcesProperties('AWS::Logs::LogGroup', { KmsKeyId: key });
    template.allResourcesProperties('AWS::SQS::Queue', { KmsMasterKeyId: key });
    template.allResourcesProperties('AWS::SNS::Topic', { KmsMasterKeyId: key });
    template.allResourcesProperties('AWS::Lambda::Function', { KmsKeyArn: key });
    template.hasResourceProperties('AWS::ElastiCache::ReplicationGroup', { KmsKeyId: key });
    template.hasResourceProperties('AWS::DynamoDB::Table', { SSESpecification: { KMSMasterKeyId: key } });
  });

  it('keeps every log as long as it is told', () => {
    const logRetention = RetentionDays.TWO_YEARS;
    const kept = templateOf(
      (stack) => new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS, logRetention }),
    );
    kept.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 731 });
  });

  it('serves each fleet under the names of the models that use it', () => {
    const userData = JSON.stringify(template.findResources('AWS::EC2::LaunchTemplate'));
    expect(userData).toContain('--served-model-name \\\\\\n  qwen3-8b');
  });

  it('brings the policy to the function as a layer that shows it, without what only a deployment knows', () => {
    template.hasResource('AWS::Lambda::LayerVersion', {
      Metadata: { InferencePolicy: JSON.parse(JSON.stringify(POLICY)) as object },
    });
    template.hasResourceProperties('AWS::Lambda::Function', {
      Description: 'Serves inference requests',
      Layers: [{ Ref: Match.stringLikeRegexp('PolicyLayer') }],
      Environment: { Variables: { BACKENDS: Match.objectLike({ 'Fn::Join': Match.anyValue() }) } },
    });
  });

  it('builds no fleet for a model of Bedrock, and takes none', () => {
    const backends = [POLICY.backends[0]!, { name: 'backup', bedrock: { modelId: 'eu.amazon.nova-lite-v1:0' } }];
    const policy = { ...POLICY, backends };
    const platform = (fleets: typeof FLEETS) =>
      templateOf((stack) => new InferencePlatform(stack, 'Platform', { policy, fleets }));
    platform(FLEETS).resourceCountIs('AWS::AutoScaling::AutoScalingGroup', 1);
    expect(() => platform({ ...FLEETS, backup: FLEETS.gpu } as typeof FLEETS)).toThrow(
      'fleets["backup"]: must name a backend without url and bedrock (gpu)',
    );
  });

  it('scales its fleets on real work, as it is told', () => {
    const scaled = templateOf((stack) => {
      const scaling = { gpu: { tokensPerInstance: 5000, jobsPerSecond: 3 } };
      new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS, scaling });
    });
    const [signal] = Object.values(
      scaled.findResources('AWS::Lambda::Function', { Properties: { ReservedConcurrentExecutions: 1 } }),
    );
    const { Variables } = (signal!.Properties as { Environment: { Variables: Record<string, unknown> } }).Environment;
    expect(JSON.stringify(Variables.FLEETS).replaceAll('\\', '')).toContain(
      '"tokensPerInstance":5000,"jobsPerSecond":3',
    );
    expect(Variables.QUEUE_URL).toEqual({ Ref: expect.stringMatching('^PlatformBatchJobsWorkQueue') });
  });

  it('looks at the load of its fleets as often as target tracking can where it runs', () => {
    const slow = templateOf(
      (stack) =>
        new InferencePlatform(stack, 'Platform', {
          policy: POLICY,
          fleets: FLEETS,
          scalingPeriod: Duration.seconds(60),
        }),
    );
    const policies = Object.values(slow.findResources('AWS::AutoScaling::ScalingPolicy'));
    expect(JSON.stringify(policies)).toContain('"Period":60');
    expect(JSON.stringify(policies)).not.toMatch(/"Period":(10|30)\b/);
  });

  it('empties an instance for as long as a request of its backend may take', () => {
    const backends = [{ name: 'gpu', timeouts: { totalMs: 120_500 } }, POLICY.backends[1]!];
    const timed = templateOf(
      (stack) => new InferencePlatform(stack, 'Platform', { policy: { ...POLICY, backends }, fleets: FLEETS }),
    );
    expect(JSON.stringify(timed.toJSON())).toContain('DRAIN_SECONDS=121');
  });

  it('rolls a refresh of a fleet back when its instances answer with errors', () => {
    template.hasResource('AWS::AutoScaling::AutoScalingGroup', {
      UpdatePolicy: {
        AutoScalingInstanceRefresh: {
          Preferences: Match.objectLike({
            AlarmSpecification: { Alarms: [{ Ref: Match.stringLikeRegexp('^PlatformRollbackgpu') }] },
          }),
        },
      },
    });
  });

  it('bounds requests in flight at endpoint and fleet alike', () => {
    const gpu = { ...FLEETS.gpu, balancing: Balancing.BOUNDED_CONCURRENCY, concurrencyControl: { controlPort: 3001 } };
    const bounded = templateOf(
      (stack) => new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: { gpu } }),
    );
    bounded.hasResourceProperties('AWS::ElasticLoadBalancingV2::TargetGroup', { TargetControlPort: 3001 });
    expect(JSON.stringify(bounded.toJSON())).toContain('TARGET_CONTROL_CONTROL_ADDRESS=0.0.0.0:3001');
  });

  it.each([
    [ModelKind.CHAT, '/v1/completions'],
    [ModelKind.EMBEDDING, '/v1/embeddings'],
    [ModelKind.SERVICE, '/health'],
  ])('lets a fleet of %s models show that it is ready by %s', (kind, probe) => {
    const models = [{ name: 'qwen3-8b', kind, backends: ['gpu'] }];
    const asked = templateOf(
      (stack) => new InferencePlatform(stack, 'Platform', { policy: { ...POLICY, models }, fleets: FLEETS }),
    );
    expect(JSON.stringify(asked.toJSON())).toContain(`PROBE_PATH=${probe}\\n`);
  });

  it('lets alarms publish to its encrypted topic', () => {
    template.hasResourceProperties('AWS::SNS::TopicPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Effect: 'Allow',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Action: 'sns:Publish',
          }),
        ]),
      },
    });
    const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
    expect(alarms.length).toBeGreaterThan(10);
    // All but the one by which an instance goes.
    const spoken = alarms.filter(({ Properties }) => (Properties as { OKActions?: unknown }).OKActions);
    expect(spoken).toHaveLength(alarms.length - 1);
    for (const alarm of spoken) {
      const { AlarmActions, OKActions } = alarm.Properties as Record<string, unknown[]>;
      expect([AlarmActions, OKActions]).toEqual([[{ Ref: expect.any(String) }], [{ Ref: expect.any(String) }]]);
    }
  });

  it('keeps the logical ids of what holds state', () => {
    const stateful = ['AWS::KMS::Key', 'AWS::DynamoDB::Table', 'AWS::SQS::Queue', 'AWS::ElastiCache::ReplicationGroup'];
    const ids = [...stateful, 'AWS::S3::Bucket', 'AWS::ApiGateway::RestApi', 'AWS::ApiGateway::ApiKey'].flatMap(
      (type) => Object.keys(template.findResources(type)),
    );
    expect(ids).toMatchSnapshot();
  });

  it('is built in a given network, on a given key, with a given topic', () => {
    const stack = newStack();
    new InferencePlatform(stack, 'Platform', {
      policy: POLICY,
      fleets: FLEETS,
      vpc: givenVpc(stack),
      encryptionKey: kms.Key.fromKeyArn(stack, 'Given', 'arn:aws:kms:us-east-1:111122223333:key/abcd'),
      alarmTopic: sns.Topic.fromTopicArn(stack, 'OnCall', 'arn:aws:sns:us-east-1:111122223333:on-call'),
    });
    const given = Template.fromStack(stack);
    given.resourceCountIs('AWS::EC2::VPC', 0);
    // Only the one that signs: nothing is encrypted by it.
    given.allResourcesProperties('AWS::KMS::Key', { KeyUsage: 'SIGN_VERIFY' });
    given.resourceCountIs('AWS::SNS::Topic', 0);
    const actions = Object.values(given.findResources('AWS::CloudWatch::Alarm'))
      .map(({ Properties }) => Properties as { AlarmActions: unknown; OKActions?: unknown })
      .filter(({ OKActions }) => OKActions);
    expect(actions.length).toBeGreaterThan(10);
    for (const { AlarmActions } of actions)
      expect(AlarmActions).toEqual(['arn:aws:sns:us-east-1:111122223333:on-call']);
  });

  it('stands twice in one stack, and below a permissions boundary', () => {
    const stack = newStack();
    iam.PermissionsBoundary.of(stack).apply(
      iam.ManagedPolicy.fromManagedPolicyArn(stack, 'Boundary', 'arn:aws:iam::111122223333:policy/boundary'),
    );
    const encryptionKey = new PlatformKey(stack, 'Key');
    const vpc = givenVpc(stack);
    for (const id of ['First', 'Second']) {
      new InferencePlatform(stack, id, { policy: POLICY, fleets: FLEETS, vpc, encryptionKey });
    }
    const both = Template.fromStack(stack);
    both.resourceCountIs('AWS::ApiGateway::RestApi', 2);
    both.allResourcesProperties('AWS::IAM::Role', {
      PermissionsBoundary: 'arn:aws:iam::111122223333:policy/boundary',
    });
    const userIds = Object.values(both.findResources('AWS::ElastiCache::User')).map(
      (user) => (user.Properties as { UserId: string }).UserId,
    );
    expect(new Set(userIds).size).toBe(2);
  });

  it.each([
    [
      'a fleet is missing',
      { fleets: {} },
      'fleets["gpu"]: is required, since the backend has neither url nor bedrock: say what model it loads',
    ],
    [
      'a fleet has no backend',
      { fleets: { ...FLEETS, tpu: FLEETS.gpu } },
      'fleets["tpu"]: must name a backend without url and bedrock (gpu)',
    ],
    [
      'scaling has no fleet',
      { scaling: { tpu: {} } },
      'scaling["tpu"]: must name a backend without url and bedrock (gpu)',
    ],
    [
      'a key stands in plain text',
      { policy: { ...POLICY, tenants: [{ name: 'acme', plan: 'standard', keys: ['sk-secret-1'] }] } },
      'tenants[0].keys: must not be in a synthesised policy',
    ],
  ])('says what to do when %s', (_, change, message) => {
    expect(() => new InferencePlatform(newStack(), 'Platform', { policy: POLICY, fleets: FLEETS, ...change })).toThrow(
      message,
    );
  });
});
