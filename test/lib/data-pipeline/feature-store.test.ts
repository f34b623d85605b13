import { describe, expect, it } from '@jest/globals';
import { RemovalPolicy } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import {
  FeatureCompatibility,
  type FeatureDefinition,
  FeatureStore,
  type FeatureStoreProps,
  FeatureType,
  ResponseCache,
} from '../../../lib';
import { OFFLINE_PREFIX } from '../../../lib/policy/features/prefixes';
import { dayPrefix } from '../../../lambda/data-pipeline/features/offline-file';
import { givenVpc, newStack, templateOf } from '../synthesise';

const common = { ttlSeconds: 3600, sourceVersion: 'v1' };
const DEFINITION: FeatureDefinition = {
  name: 'shop',
  features: [
    { name: 'spend', entity: 'customer', type: FeatureType.NUMBER, default: 0, ...common, description: 'Spent' },
    { name: 'orders', entity: 'customer', type: FeatureType.INTEGER, default: 0, ...common },
    { name: 'open', entity: 'branch', type: FeatureType.BOOLEAN, ...common },
    { name: 'city', entity: 'branch', type: FeatureType.TEXT, ...common },
  ],
};

const storeWith = (props: Partial<FeatureStoreProps> = {}) =>
  templateOf((stack) => new FeatureStore(stack, 'Features', { definition: DEFINITION, ...props }));

/** What a function of a description may do, as `action on resource`. */
function permissions(template: Template, role: string): string[] {
  const policies = template.findResources('AWS::IAM::Policy', {
    Properties: { Roles: [{ Ref: Match.stringLikeRegexp(`^${role}`) }] },
  });
  return Object.values(policies).flatMap((policy) => {
    const { PolicyDocument } = policy.Properties as {
      PolicyDocument: { Statement: { Action: string | string[]; Resource: unknown }[] };
    };
    return PolicyDocument.Statement.flatMap(({ Action, Resource }) =>
      [Action].flat().map((action) => `${action} on ${JSON.stringify(Resource)}`),
    );
  });
}

describe('a feature store', () => {
  const template = storeWith();

  it('has a table for each entity, with the columns and types of the definition, by the day without a crawler', () => {
    template.resourceCountIs('AWS::Glue::Table', 2);
    template.hasResourceProperties('AWS::Glue::Table', {
      TableInput: {
        Name: 'customer',
        PartitionKeys: [Match.objectLike({ Name: 'day', Type: 'string' })],
        Parameters: Match.objectLike({ 'projection.enabled': 'true', 'projection.day.type': 'date' }),
        StorageDescriptor: Match.objectLike({
          Columns: [
            ...['entity_key', 'event_ms', 'ingested_ms', 'ingest_id', 'source_version'].map((Name) =>
              Match.objectLike({ Name }),
            ),
            { Name: 'spend', Type: 'double', Comment: 'Spent' },
            { Name: 'orders', Type: 'bigint' },
          ],
        }),
      },
    });
    template.hasResourceProperties('AWS::Glue::Table', {
      TableInput: Match.objectLike({
        Name: 'branch',
        StorageDescriptor: Match.objectLike({
          Columns: Match.arrayWith([
            { Name: 'open', Type: 'boolean' },
            { Name: 'city', Type: 'string' },
          ]),
        }),
      }),
    });
  });

  it('looks for partitions where its function writes them', () => {
    const [table] = Object.values(
      template.findResources('AWS::Glue::Table', { Properties: { TableInput: { Name: 'customer' } } }),
    );
    const { TableInput } = table!.Properties as { TableInput: { Parameters: Record<string, unknown> } };
    const location = TableInput.Parameters['storage.location.template'] as { 'Fn::Join': [string, unknown[]] };
    expect(location['Fn::Join'][1].at(-1)).toBe(`/${dayPrefix('customer', '${day}').slice(0, -1)}`);
    expect(dayPrefix('customer', '2026-03-01')).toBe(`${OFFLINE_PREFIX}customer/day=2026-03-01/`);
  });

  it('limits what a query reads, and encrypts its results', () => {
    const encrypted = templateOf((stack) => {
      const encryptionKey = new kms.Key(stack, 'Key');
      new FeatureStore(stack, 'Features', { definition: DEFINITION, encryptionKey, mostBytesPerQuery: 20_000_000 });
    });
    encrypted.hasResourceProperties('AWS::Athena::WorkGroup', {
      WorkGroupConfiguration: Match.objectLike({
        EnforceWorkGroupConfiguration: true,
        BytesScannedCutoffPerQuery: 20_000_000,
        ResultConfiguration: Match.objectLike({
          EncryptionConfiguration: { EncryptionOption: 'SSE_KMS', KmsKey: Match.anyValue() },
        }),
      }),
    });
    encrypted.hasResourceProperties('AWS::DynamoDB::Table', {
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS', KMSMasterKeyId: Match.anyValue() },
    });
    encrypted.hasResourceProperties('AWS::S3::Bucket', {
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          Match.objectLike({ ServerSideEncryptionByDefault: Match.objectLike({ SSEAlgorithm: 'aws:kms' }) }),
        ],
      },
      VersioningConfiguration: { Status: 'Enabled' },
    });
  });

  it('keeps the history and not the workgroup, whose name the next stack of that name takes', () => {
    for (const given of [template, storeWith({ removalPolicy: RemovalPolicy.RETAIN })]) {
      given.hasResource('AWS::Athena::WorkGroup', {
        DeletionPolicy: 'Delete',
        Properties: Match.objectLike({ RecursiveDeleteOption: true }),
      });
      given.hasResource('AWS::S3::Bucket', { DeletionPolicy: 'Retain' });
    }
  });

  it('keeps the newest values in a table that can be restored and is cleared by time', () => {
    template.hasResourceProperties('AWS::DynamoDB::Table', {
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
      DeletionProtectionEnabled: true,
    });
    storeWith({ removalPolicy: RemovalPolicy.DESTROY }).hasResourceProperties('AWS::DynamoDB::Table', {
      DeletionProtectionEnabled: false,
    });
  });

  it('lets each function do what it does, where it does it', () => {
    const actions = (role: string) =>
      permissions(template, role)
        .filter((each) => /^(s3|dynamodb):/.test(each))
        .map((each) => each.replace(/ on .*?((features|quarantine|samples)\/\*)?"?[\]})"]*(?:,.*)?$/, ' $1').trim());
    expect(actions('FeaturesIngestRole').sort()).toEqual([
      'dynamodb:GetItem',
      'dynamodb:PutItem',
      expect.stringMatching(/^s3:PutObject/),
    ]);
    expect(actions('FeaturesServeRole').sort()).toEqual([
      'dynamodb:BatchGetItem',
      expect.stringMatching(/^s3:PutObject/),
    ]);
    expect(actions('FeaturesSkewRole').sort()).toEqual([
      expect.stringMatching(/^s3:GetObject/),
      expect.stringMatching(/^s3:ListBucket/),
    ]);
    const ingest = permissions(template, 'FeaturesIngestRole').filter((each) => each.startsWith('s3:'));
    expect(ingest[0]).toContain('/features/*');
    expect(ingest[0]).toContain('/quarantine/*');
    expect(ingest[0]).not.toContain('/samples/*');
  });

  it('takes no sample, and no permission to, where none is wanted', () => {
    const without = storeWith({ sampleRate: 0 });
    expect(permissions(without, 'FeaturesServeRole').filter((each) => each.startsWith('s3:'))).toEqual([]);
  });

  it('serves from Valkey in place of a table, in its network', () => {
    const valkey = templateOf((stack) => {
      const vpc = givenVpc(stack);
      const onlineStore = new ResponseCache(stack, 'Store', { vpc });
      new FeatureStore(stack, 'Features', { definition: DEFINITION, onlineStore, vpc });
    });
    valkey.resourceCountIs('AWS::DynamoDB::Table', 0);
    for (const Description of ['Takes in the features of shop', 'Serves the features of shop']) {
      valkey.hasResourceProperties('AWS::Lambda::Function', {
        Description,
        VpcConfig: Match.anyValue(),
        Environment: { Variables: Match.objectLike({ STORE_URL: Match.anyValue(), ONLINE_TABLE: Match.absent() }) },
      });
    }
    expect(permissions(valkey, 'FeaturesServeRole').some((each) => each.startsWith('elasticache:Connect'))).toBe(true);
    expect(permissions(valkey, 'FeaturesSkewRole').some((each) => each.startsWith('elasticache:'))).toBe(false);
  });

  it('makes training sets from its own tables, by whoever may', () => {
    const stack = newStack();
    const store = new FeatureStore(stack, 'Features', { definition: DEFINITION });
    const query = store.trainingSetQuery({
      ...{ entity: 'customer', labelDatabase: 'l', labelTable: 't', keyColumn: 'k', timeColumn: 'at' },
    });
    expect(JSON.stringify(stack.resolve(query))).toContain('"Ref":"FeaturesTablesDatabase');
    store.grantQuery(new iam.Role(stack, 'Analyst', { assumedBy: new iam.AccountRootPrincipal() }));
    const granted = permissions(Template.fromStack(stack), 'Analyst').map((each) => each.split(' ')[0]);
    expect(granted).toEqual(expect.arrayContaining(['athena:StartQueryExecution', 'glue:GetTable', 's3:PutObject']));
    expect(granted).not.toContain('athena:*');
  });

  it('publishes metrics of its own', () => {
    const store = new FeatureStore(newStack(), 'Features', { definition: DEFINITION });
    const metrics = [
      ...[store.metricRecords(), store.metricQuarantined(), store.metricEventAge(), store.metricReadings()],
      ...[store.metricStale(), store.metricMissing(), store.metricSkew()],
    ];
    for (const metric of metrics) expect(metric.dimensions).toEqual({ FeatureStore: store.storeName });
    expect(store.metricStaleShare().expression).toBe('IF(readings >= 100, 100 * stale / readings, 0)');
    expect(store.metricErrors().expression).toBe('ingest + serve + skew + maintenance');
    expect(store.storeName).toMatch(/^Stack-shop-[0-9a-f]{8}$/);
  });

  it('stands twice in one stack', () => {
    const twice = templateOf((stack) => {
      for (const id of ['One', 'Two']) new FeatureStore(stack, id, { definition: DEFINITION });
    });
    twice.resourceCountIs('AWS::Glue::Database', 2);
    const groups = Object.values(twice.findResources('AWS::Athena::WorkGroup'));
    const names = groups.map(({ Properties }) => (Properties as { Name: string }).Name);
    expect(new Set(names).size).toBe(2);
  });
});

describe('a change of a feature store', () => {
  const pinned: FeatureDefinition = {
    name: 'shop',
    features: DEFINITION.features.map((each) =>
      each.name === 'spend' ? { ...each, type: FeatureType.TEXT, default: '' } : each,
    ),
  };

  it('is an error at construction where it breaks what is kept', () => {
    expect(() => storeWith({ pinned })).toThrow(
      'not backward compatible with the pinned one, by 1 change:\n  features["spend"].type: has changed from "text" to "number"',
    );
    expect(() => storeWith({ pinned, compatibility: FeatureCompatibility.NONE })).not.toThrow();
    expect(() => storeWith({ pinned: DEFINITION })).not.toThrow();
  });
});

describe('bad properties', () => {
  it.each<[Partial<FeatureStoreProps>, string]>([
    [{ definition: { name: 'shop', features: [] } }, 'features: must be a list of at least 1, got []'],
    [{ compatibility: FeatureCompatibility.FULL }, 'compatibility ("full") needs pinned'],
    [{ sampleRate: 2 }, 'sampleRate must be a number from 0 to 1, got 2'],
    [{ sampleRate: Number.NaN }, 'sampleRate must be a number from 0 to 1, got NaN'],
    [{ trainingDays: ['2026-03-02', '2026-03-01'] }, 'trainingDays must be the first and the last day'],
    [{ trainingDays: ['2026-03-02'] }, 'trainingDays must be the first and the last day'],
    [{ mostBytesPerQuery: 1000 }, 'mostBytesPerQuery must be a whole number of at least 10000000, got 1000'],
  ])('are refused: %j', (props, message) => {
    expect(() => storeWith(props)).toThrow(message);
  });

  it('are refused where the network and the store do not go together', () => {
    expect(() =>
      templateOf((stack) => new FeatureStore(stack, 'F', { definition: DEFINITION, vpc: givenVpc(stack) })),
    ).toThrow('vpc goes with onlineStore');
    expect(() =>
      templateOf((stack) => {
        const onlineStore = new ResponseCache(stack, 'Store', { vpc: givenVpc(stack) });
        new FeatureStore(stack, 'F', { definition: DEFINITION, onlineStore });
      }),
    ).toThrow('onlineStore needs vpc');
  });
});
