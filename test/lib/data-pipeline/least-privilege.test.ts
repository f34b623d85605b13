import { describe, expect, it } from '@jest/globals';
import { Template } from 'aws-cdk-lib/assertions';
import { FeatureStore, FeatureType } from '../../../lib';
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
      's3:ListBucket compaction/': 'S3 says 404 of a note that is not there only to those who may list',
    },
  },
};

/** What a role may do with data, as the recordings write it: `s3:GetObject features/`. */
function permissionsOf(template: Template, role: string): string[] {
  const documents = Object.values(template.findResources('AWS::IAM::Policy'))
    .map(({ Properties }) => Properties as { Roles: { Ref: string }[]; PolicyDocument: { Statement: Statement[] } })
    .filter(({ Roles }) => Roles.some(({ Ref }) => Ref.startsWith(`Features${role}Role`)));
  expect(documents.length).toBeGreaterThan(0);
  const found = documents
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
    .flatMap(({ Effect, Action, Resource, Condition }) => {
      expect(Effect).toBe('Allow');
      const resources = Array.isArray(Resource) ? (Resource as unknown[]) : [Resource];
      const listed = Condition?.StringLike?.['s3:prefix']?.map((prefix) => prefix.replace(/\*$/, ''));
      const places = listed ?? resources.map((resource) => /\/([a-z]+\/)\*"/.exec(JSON.stringify(resource))?.[1] ?? '');
      return [Action].flat().flatMap((action) => places.map((place) => `${action} ${place}`.trimEnd()));
    });
  return [...new Set(found)].filter((each) => /^(s3|dynamodb):/.test(each));
}

describe.each(Object.entries(FUNCTIONS))('the role of %s', (handler, { role, unseen }) => {
  const stack = newStack();
  new FeatureStore(stack, 'Features', {
    definition: {
      name: 'shop',
      features: [{ name: 'spend', entity: 'customer', type: FeatureType.NUMBER, ttlSeconds: 60, sourceVersion: 'v1' }],
    },
  });
  const permitted = permissionsOf(Template.fromStack(stack), role);
  const calls = recordedCalls(handler);

  it('permits each call that the handler was seen to make', () => {
    expect(calls.length).toBeGreaterThan(1);
    expect(calls.filter((call) => !permitted.includes(call))).toEqual([]);
  });

  it('permits nothing that the handler was not seen to call, but for a reason', () => {
    const reasons = Object.keys(unseen);
    expect(permitted.filter((each) => !calls.includes(each)).sort()).toEqual(reasons.sort());
  });
});
