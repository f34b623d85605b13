import { describe, expect, it } from '@jest/globals';
import { Template } from 'aws-cdk-lib/assertions';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { DataPipeline, FeatureStore, FeatureType, Retrieval } from '../../../lib';
import { recordedCalls } from '../../lambda/recorded-calls';
import { newStack } from '../synthesise';

interface Statement {
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: { readonly StringLike?: { readonly 's3:prefix'?: string[] } };
}

/** The functions of a feature store, by their handler, with what they may do and are not seen to, and why. */
const FUNCTIONS: Readonly<
  Record<string, { readonly role: string; readonly unseen: Readonly<Record<string, string>> }>
> = {
  'feature-ingest': { role: 'Ingest', unseen: {} },
  'feature-serve': { role: 'Serve', unseen: {} },
  'feature-skew': { role: 'Skew', unseen: {} },
  'feature-maintenance': {
    role: 'Maintenance',
    unseen: {
      's3:ListBucket': 'S3 says 404 of a note that is not there only to those who may list the bucket, whatever prefix',
    },
  },
};

/** What the keys of objects begin with, where a resource is some of a bucket's. */
function folderOf(resource: string): string {
  if (resource.includes('VectorBucketArn')) return '';
  return /"\/([a-z]+\/)(\*|[a-z.]+)"/.exec(resource)?.[1] ?? '';
}

/** What a role may do with data, as the recordings write it: `s3:GetObject features/`. */
function permissionsOf(template: Template, role: string): string[] {
  const documents = Object.values(template.findResources('AWS::IAM::Policy'))
    .map(({ Properties }) => Properties as { Roles: { Ref: string }[]; PolicyDocument: { Statement: Statement[] } })
    .filter(({ Roles }) => Roles.some(({ Ref }) => Ref.startsWith(role)));
  expect(documents.length).toBeGreaterThan(0);
  const found = documents
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
    .flatMap(({ Effect, Action, Resource, Condition }) => {
      expect(Effect).toBe('Allow');
      const resources = Array.isArray(Resource) ? (Resource as unknown[]) : [Resource];
      const listed = Condition?.StringLike?.['s3:prefix']?.map((prefix) => prefix.replace(/\*$/, ''));
      const places = listed ?? resources.map((resource) => folderOf(JSON.stringify(resource)));
      return [Action].flat().flatMap((action) => places.map((place) => `${action} ${place}`.trimEnd()));
    });
  return [...new Set(found)].filter((each) => /^(s3|s3vectors|dynamodb|states|lambda|secretsmanager):/.test(each));
}

/** Whether a permission is of a call: of all of a bucket where it names no prefix. */
function allows(permission: string, call: string): boolean {
  return call === permission || call.startsWith(`${permission} `);
}

describe.each(Object.entries(FUNCTIONS))('the role of %s', (handler, { role, unseen }) => {
  const stack = newStack();
  new FeatureStore(stack, 'Features', {
    definition: {
      name: 'shop',
      features: [{ name: 'spend', entity: 'customer', type: FeatureType.NUMBER, ttlSeconds: 60, sourceVersion: 'v1' }],
    },
  });
  const permitted = permissionsOf(Template.fromStack(stack), `Features${role}Role`);
  const calls = recordedCalls(handler);

  it('permits each call that the handler was seen to make', () => {
    expect(calls.length).toBeGreaterThan(1);
    expect(calls.filter((call) => !permitted.some((each) => allows(each, call)))).toEqual([]);
  });

  it('permits nothing that the handler was not seen to call, but for a reason', () => {
    const reasons = Object.keys(unseen);
    expect(permitted.filter((each) => !calls.includes(each)).sort()).toEqual(reasons.sort());
  });
});

const NO_LIST = 'S3 says 404 of an object that is not there only to those who may list';
const BY_CDK = 'the CDK grants it with the secret';
const WHOLE = 'versions and what they are made of come and go with the runs, of which the steps make all';

/** The functions of a pipeline, with what they may do and are not seen to, and why. */
const OF_PIPELINES: Readonly<
  Record<string, { readonly role: string; readonly unseen: Readonly<Record<string, string>> }>
> = {
  'pipeline-worker': {
    role: 'PipelineWorkerRole',
    unseen: {
      's3:GetObject references/': 'rules that refer to a set read it',
      's3:ListBucket references/': 'the same',
      's3:ListBucket': NO_LIST,
      'secretsmanager:DescribeSecret': BY_CDK,
    },
  },
  'pipeline-steps': {
    role: 'PipelineStepsRole',
    unseen: {
      ...{ 's3:GetObject': WHOLE, 's3:PutObject': WHOLE, 's3:DeleteObject': WHOLE, 's3:ListBucket': WHOLE },
      'secretsmanager:DescribeSecret': BY_CDK,
    },
  },
  'pipeline-control': {
    role: 'PipelineControlRole',
    unseen: { 's3:ListBucket': NO_LIST },
  },
  retrieval: {
    role: 'RetrievalHandlerRole',
    unseen: { 'secretsmanager:DescribeSecret': BY_CDK },
  },
};

/** What the malware scan adds. */
const OF_SCANNED: Readonly<Record<string, readonly string[]>> = {
  // Of a file that S3 refuses to give it asks what the scan says, and whether it is the one that was planned.
  'pipeline-worker': ['s3:GetObjectTagging incoming/', 's3:ListBucket incoming/'],
};

describe.each(Object.entries(OF_PIPELINES))('the role of %s', (handler, { role, unseen }) => {
  const permissions = (malwareScan: boolean) => {
    const stack = newStack();
    const pipeline = new DataPipeline(stack, 'Pipeline', {
      malwareScan,
      definition: {
        name: 'manual',
        stages: [
          { name: 'chunk', work: { chunk: {} } },
          { name: 'embed', work: { embed: { model: 'm', dimensions: 8 } } },
        ],
        retrieval: {},
      },
      embeddingUrl: 'https://models.example.com',
      embeddingKey: new secretsmanager.Secret(stack, 'Key'),
    });
    new Retrieval(stack, 'Retrieval', { pipeline });
    return permissionsOf(Template.fromStack(stack), role);
  };
  const permitted = permissions(false);
  const calls = recordedCalls(handler);

  it('permits each call that the handler was seen to make', () => {
    expect(calls.length).toBeGreaterThan(4);
    expect(calls.filter((call) => !permitted.some((each) => allows(each, call)))).toEqual([]);
  });

  it('permits nothing that the handler was not seen to call, but for a reason', () => {
    expect(permitted.filter((each) => !calls.includes(each)).sort()).toEqual(Object.keys(unseen).sort());
  });

  it('permits with a malware scan what tells of a file that it may not read, and nothing else', () => {
    const added = permissions(true).filter((each) => !permitted.includes(each));
    expect(added.sort()).toEqual([...(OF_SCANNED[handler] ?? [])].sort());
  });
});
