import { describe, expect, it } from '@jest/globals';
import { Template } from 'aws-cdk-lib/assertions';
import { InferencePlatform, type InferencePolicy } from '../../../lib';
import { recordedCalls } from '../../lambda/recorded-calls';
import { FLEETS, POLICY, newStack } from '../synthesise';

const TOLD: InferencePolicy = {
  ...POLICY,
  tenants: [{ name: 'acme', plan: 'standard', webhook: { url: 'https://acme.example.com/hooks' } }],
};

/** The functions of background work, by their handler. */
const FUNCTIONS = {
  'batch-api': { id: 'Api', feed: undefined },
  'batch-control': { id: 'Controller', feed: 'control' },
  'job-worker': { id: 'Worker', feed: 'work' },
} as const;

/** What the resources of background work are called in the recordings: by the beginning of their logical id. */
const NAMES = {
  PlatformBatchJobsWorkQueue: 'work',
  PlatformBatchJobsControlQueue: 'control',
  PlatformBatchJobsWorkDeadLetters: 'dead letters',
  PlatformBatchJobsProgress: '',
  PlatformBatchJobsFiles: '',
  PlatformBatchJobsWebhookSecret: '',
};

interface Statement {
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: unknown;
}

describe.each(Object.entries(FUNCTIONS))('the role of %s', (handler, { id, feed }) => {
  const stack = newStack();
  new InferencePlatform(stack, 'Platform', { policy: TOLD, fleets: FLEETS });
  const permitted = permissionsOf(Template.fromStack(stack), `PlatformBatchJobs${id}Role`);
  const calls = recordedCalls(handler);

  /** What no call is seen of: S3 says 404 only to those who may list, and Lambda feeds a function in its name. */
  const unseen = [
    's3:ListBucket',
    ...(feed ? ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'].map((action) => `sqs:${action} ${feed}`) : []),
  ];
  const ofBackgroundWork = permitted.filter((each) => /^(s3|sqs|dynamodb|secretsmanager):/.test(each));

  it('permits each call that the handler was seen to make', () => {
    expect(calls.length).toBeGreaterThan(8);
    expect(calls.filter((call) => !permitted.includes(call))).toEqual([]);
  });

  it('permits nothing that the handler was not seen to call', () => {
    expect(ofBackgroundWork.filter((each) => !calls.includes(each)).sort()).toEqual([...unseen].sort());
  });

  it('permits besides what its key, its log, its traces and the gateway’s parts need, and nothing else', () => {
    const others = permitted.filter((each) => !ofBackgroundWork.includes(each)).map((each) => each.split(' ')[0]!);
    const network = ['Create', 'Delete', 'Describe'].map(
      (verb) => `ec2:${verb}NetworkInterface${verb === 'Describe' ? 's' : ''}`,
    );
    const addresses = ['ec2:AssignPrivateIpAddresses', 'ec2:UnassignPrivateIpAddresses', 'ec2:DescribeSubnets'];
    expect(new Set(others)).toEqual(
      new Set([
        ...['kms:Decrypt', 'kms:GenerateDataKey'],
        ...['logs:CreateLogStream', 'logs:PutLogEvents', 'xray:PutTelemetryRecords', 'xray:PutTraceSegments'],
        ...(handler === 'job-worker' ? [...network, ...addresses, 'elasticache:Connect', 'events:PutEvents'] : []),
      ]),
    );
  });
});

/** What a role may do, as the recordings write it: `s3:GetObject files/`. */
function permissionsOf(template: Template, role: string): string[] {
  const documents = Object.values(template.findResources('AWS::IAM::Policy'))
    .map(({ Properties }) => Properties as { Roles: { Ref: string }[]; PolicyDocument: { Statement: Statement[] } })
    .filter(({ Roles }) => Roles.some(({ Ref }) => Ref.startsWith(role)));
  expect(documents.length).toBeGreaterThan(0);
  return documents
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
    .flatMap(({ Effect, Action, Resource }) => {
      expect(Effect).toBe('Allow');
      const resources = Array.isArray(Resource) ? (Resource as unknown[]) : [Resource];
      return [Action]
        .flat()
        .flatMap((action) => resources.map((resource) => `${action} ${nameOf(resource)}`.trimEnd()));
    });
}

/** A resource's name in the recordings: of objects, what their keys begin with. */
function nameOf(resource: unknown): string {
  if (typeof resource === 'string') return resource;
  const {
    Ref,
    'Fn::GetAtt': attribute,
    'Fn::Join': join,
  } = resource as {
    Ref?: string;
    'Fn::GetAtt'?: [string, string];
    'Fn::Join'?: [string, unknown[]];
  };
  const [, [of, tail] = []] = join ?? [];
  if (join && typeof tail === 'string' && /^\/[a-z]+\/\*$/.test(tail) && nameOf(of) === '') return tail.slice(1, -1);
  const id = attribute?.[0] ?? Ref ?? '';
  const known = Object.entries(NAMES).find(([name]) => id.replace(/[0-9A-F]{8}$/, '') === name);
  return known ? known[1] : JSON.stringify(resource);
}
