import { describe, expect, it } from '@jest/globals';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Lazy } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import {
  FeatureType,
  type FeatureDefinition,
  InferencePlatform,
  type InferencePlatformProps,
  type InferencePolicy,
  ModelKind,
  type PipelineDefinition,
  PlatformKey,
} from '../../../lib';
import { FLEETS, givenVpc, newStack, POLICY, templateOf } from '../synthesise';

const DOCS: PipelineDefinition = {
  name: 'docs',
  stages: [
    { name: 'parse', work: { parse: {} } },
    { name: 'chunk', work: { chunk: { mostTokens: 256 } } },
    { name: 'embed', work: { embed: { model: 'bge-m3', dimensions: 1024 } } },
  ],
  retrieval: {},
};

const ORDERS: PipelineDefinition = {
  name: 'orders',
  stages: [{ name: 'check', work: { check: {} }, input: { type: 'object' } }],
};

const source = { entity: 'customer', sourceVersion: 'v1', ttlSeconds: 3600 };
const SHOP: FeatureDefinition = { name: 'shop', features: [{ name: 'spend', type: FeatureType.NUMBER, ...source }] };

const DATA_POLICY: InferencePolicy = {
  ...POLICY,
  plans: [...POLICY.plans, { name: 'ingest', requestsPerMinute: 60, tokensPerMinute: 50_000, models: ['bge-m3'] }],
  tenants: [...POLICY.tenants, { name: 'docs', plan: 'ingest' }],
  backends: [
    ...POLICY.backends,
    { name: 'embedder', url: 'https://e.example.com' },
    { name: 'index' },
    { name: 'online' },
  ],
  models: [
    ...POLICY.models,
    { name: 'bge-m3', kind: ModelKind.EMBEDDING, backends: ['embedder'] },
    { name: 'search', kind: ModelKind.SERVICE, backends: ['index'] },
    { name: 'features', kind: ModelKind.SERVICE, backends: ['online'] },
  ],
};

const PROPS: InferencePlatformProps = {
  policy: DATA_POLICY,
  fleets: FLEETS,
  dataPipelines: { docs: { definition: DOCS, tenant: 'docs', backend: 'index' } },
  featureStores: { shop: { definition: SHOP, backend: 'online' } },
};

/** The one function with a description. */
function functionOf(template: Template, description: string) {
  const found = Object.values(template.findResources('AWS::Lambda::Function')).filter(
    ({ Properties }) => (Properties as { Description?: string }).Description === description,
  );
  expect(found).toHaveLength(1);
  return found[0]!.Properties as {
    readonly Role: { readonly 'Fn::GetAtt': [string, string] };
    readonly Environment: { readonly Variables: Readonly<Record<string, unknown>> };
    readonly Layers?: readonly unknown[];
  };
}

/** What the role of a function may do, in its own policies. */
function statementsOf(template: Template, { Role: role }: ReturnType<typeof functionOf>) {
  const [id] = role['Fn::GetAtt'];
  return Object.values(template.findResources('AWS::IAM::Policy'))
    .map(({ Properties }) => Properties as { Roles: { Ref: string }[]; PolicyDocument: { Statement: object[] } })
    .filter(({ Roles }) => Roles.some(({ Ref }) => Ref === id))
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement as { Action: string | string[]; Resource: unknown }[]);
}

describe('a platform with data', () => {
  const template = templateOf((stack) => new InferencePlatform(stack, 'Platform', PROPS));
  const inference = functionOf(template, 'Serves inference requests');
  const embeddings = functionOf(template, 'Embeds texts for pipelines and retrieval');
  const retrieval = Object.values(template.findResources('AWS::Lambda::Function'))
    .map(({ Properties }) => Properties as ReturnType<typeof functionOf> & { readonly Description: string })
    .find(({ Description: text }) => text.startsWith('Finds records of'))!;
  const worker = functionOf(template, 'Takes records of the pipeline docs through its stages');
  const embeddingArn = worker.Environment.Variables.EMBEDDING_FUNCTION;

  it('has the gateway call retrieval and features at their own endpoints, by the certificate of the platform', () => {
    const backends = JSON.stringify(inference.Environment.Variables.BACKENDS).replaceAll('\\', '');
    expect(backends).toMatch(/"index":\{"url":"https:\/\/",\{"Fn::GetAtt":\["PlatformEndpointindexLoadBalancer/);
    expect(backends).toMatch(/"online":\{"url":"https:\/\/",\{"Fn::GetAtt":\["PlatformEndpointonlineLoadBalancer/);
    template.resourceCountIs('AWS::ElasticLoadBalancingV2::LoadBalancer', 3);
    template.allResourcesProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', { Scheme: 'internal' });
    template.resourceCountIs('Custom::EndpointCertificate', 1);
  });

  it('lets the gateway open connections to those endpoints', () => {
    for (const name of ['index', 'online']) {
      template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
        FromPort: 443,
        GroupId: { 'Fn::GetAtt': [Match.stringLikeRegexp(`Endpoint${name}SecurityGroup`), 'GroupId'] },
        SourceSecurityGroupId: { 'Fn::GetAtt': [Match.stringLikeRegexp('ApiInferenceHandler'), 'GroupId'] },
      });
    }
  });

  it('embeds as the gateway computes: by the same policy, store and backends', () => {
    const { SERVICE_NAME: _, ...own } = embeddings.Environment.Variables;
    const { SERVICE_NAME: __, ...gateways } = inference.Environment.Variables;
    expect(own).toEqual(gateways);
    expect(embeddings.Layers).toEqual(inference.Layers);
  });

  it('reaches backends of embedding models only to embed', () => {
    const sources = Object.values(template.findResources('AWS::EC2::SecurityGroupIngress'))
      .map(({ Properties }) => JSON.stringify(Properties))
      .filter((text) => text.includes('EmbeddingsHandlerSecurityGroup'));
    expect(sources).toHaveLength(1);
    expect(sources[0]).toContain('CacheSecurityGroup');
  });

  it('embeds records below live traffic and queries with it, as the tenant that was named', () => {
    expect(worker.Environment.Variables).toMatchObject({ EMBEDDING_PRIORITY: 'batch', EMBEDDING_TENANT: 'docs' });
    expect(retrieval.Environment.Variables).toMatchObject({
      EMBEDDING_FUNCTION: embeddingArn,
      EMBEDDING_PRIORITY: 'interactive',
      EMBEDDING_TENANT: 'docs',
    });
    expect(worker.Environment.Variables).not.toHaveProperty('EMBEDDING_URL');
  });

  it('lets nobody have texts embedded but the functions that do', () => {
    const callers = Object.values(template.findResources('AWS::Lambda::Function'))
      .map(({ Properties }) => Properties as ReturnType<typeof functionOf> & { readonly Description: string })
      .filter((each) =>
        statementsOf(template, each).some(
          ({ Action, Resource }) =>
            Action === 'lambda:InvokeFunction' && JSON.stringify(Resource) === JSON.stringify(embeddingArn),
        ),
      )
      .map(({ Description }) => Description.split(' ').slice(0, 2).join(' '));
    expect(callers.sort()).toEqual(['Finds records', 'Plans, audits', 'Takes records']);
  });

  it('encrypts data on the key of the platform, and tells its topic of what goes wrong', () => {
    const key = { 'Fn::GetAtt': [Match.stringLikeRegexp('^PlatformKey'), 'Arn'] };
    template.allResourcesProperties('AWS::Logs::LogGroup', { KmsKeyId: key });
    template.allResourcesProperties('AWS::DynamoDB::Table', { SSESpecification: { KMSMasterKeyId: key } });
    template.allResourcesProperties('AWS::S3Vectors::VectorBucket', { EncryptionConfiguration: { KmsKeyArn: key } });
    template.hasResourceProperties('AWS::S3::Bucket', {
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { KMSMasterKeyID: key } }],
      },
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmDescription: Match.stringLikeRegexp('docs'),
      AlarmActions: [{ Ref: Match.stringLikeRegexp('^PlatformAlarms') }],
    });
  });

  it('keeps the logical ids of what holds state', () => {
    const types = ['AWS::DynamoDB::Table', 'AWS::S3::Bucket', 'AWS::S3Vectors::VectorBucket', 'AWS::Glue::Database'];
    const ids = types.flatMap((type) => Object.keys(template.findResources(type)));
    expect(ids.filter((id) => /Pipeline|Features/.test(id))).toMatchSnapshot();
  });

  it('refers in no circle', () => {
    const resources = (template.toJSON() as { Resources: Record<string, object> }).Resources;
    const edges = new Map(Object.entries(resources).map(([id, resource]) => [id, referencesIn(resource, resources)]));
    const done = new Set<string>();
    const visit = (id: string, path: readonly string[]): void => {
      expect(path).not.toContain(id);
      if (done.has(id)) return;
      for (const next of edges.get(id) ?? []) visit(next, [...path, id]);
      done.add(id);
    };
    for (const id of edges.keys()) visit(id, []);
  });

  it('keeps features in the Valkey of the platform where it is told to', () => {
    const shared = templateOf((stack) => {
      const featureStores = { shop: { definition: SHOP, backend: 'online', servesFromCache: true } };
      new InferencePlatform(stack, 'Platform', { ...PROPS, featureStores });
    });
    const { Variables } = functionOf(shared, 'Serves the features of shop').Environment;
    expect(Variables).toMatchObject({ STORE_URL: inference.Environment.Variables.STORE_URL });
    expect(Variables).not.toHaveProperty('ONLINE_TABLE');
    expect(Object.keys(shared.findResources('AWS::DynamoDB::Table')).join()).not.toContain('Online');
  });

  it('has no function that embeds where no pipeline does', () => {
    const dataPipelines = { orders: { definition: ORDERS } };
    const backends = [...POLICY.backends];
    const plain = templateOf(
      (stack) =>
        new InferencePlatform(stack, 'Platform', { policy: { ...POLICY, backends }, fleets: FLEETS, dataPipelines }),
    );
    expect(JSON.stringify(plain.findResources('AWS::Lambda::Function'))).not.toContain('Embeds texts');
    plain.resourceCountIs('AWS::StepFunctions::StateMachine', 1);
    plain.resourceCountIs('AWS::ElasticLoadBalancingV2::LoadBalancer', 1);
  });

  it('stands twice in one stack, below a permissions boundary, with a key and a url that are tokens', () => {
    const stack = newStack();
    // Two such platforms are more than one deployment takes, which is not what is asked here.
    stack.node.setContext('@aws-cdk/core:stackResourceLimit', 1000);
    iam.PermissionsBoundary.of(stack).apply(
      iam.ManagedPolicy.fromManagedPolicyArn(stack, 'Boundary', 'arn:aws:iam::111122223333:policy/boundary'),
    );
    const url = Lazy.string({ produce: () => 'https://embed.example.com' });
    const backends = DATA_POLICY.backends.map((each) => (each.name === 'embedder' ? { ...each, url } : each));
    const [vpc, encryptionKey] = [givenVpc(stack), new PlatformKey(stack, 'Key')];
    for (const id of ['First', 'Second']) {
      new InferencePlatform(stack, id, { ...PROPS, policy: { ...DATA_POLICY, backends }, vpc, encryptionKey });
    }
    const both = Template.fromStack(stack);
    both.allResourcesProperties('AWS::IAM::Role', {
      PermissionsBoundary: 'arn:aws:iam::111122223333:policy/boundary',
    });
    const names = Object.values(both.findResources('AWS::S3Vectors::VectorBucket')).map(
      ({ Properties }) => (Properties as { VectorBucketName: string }).VectorBucketName,
    );
    expect(new Set(names).size).toBe(2);
  });
});

describe('a platform says what to do when', () => {
  const of = (definition: PipelineDefinition, more: object = {}) => ({
    dataPipelines: { docs: { definition, tenant: 'docs', backend: 'index', ...more } },
  });
  const withModel = (kind: ModelKind) => ({
    policy: { ...DATA_POLICY, models: DATA_POLICY.models.map((m) => (m.name === 'search' ? { ...m, kind } : m)) },
  });
  const [parse, chunk, embed] = DOCS.stages as [PipelineDefinition['stages'][0], never, never];

  it.each<[string, Partial<InferencePlatformProps>, string]>([
    [
      'a service has no pipeline that publishes an index',
      { dataPipelines: {} },
      'fleets["index"]: is required, since the backend has neither url nor bedrock: say what model it loads; ' +
        'or give a pipeline that publishes an index, or a feature store, this backend',
    ],
    [
      'a pipeline that is to answer publishes no index',
      of({ name: 'docs', stages: [parse, chunk, embed] }),
      'dataPipelines["docs"].backend: "index" would have no index to answer from: give the definition retrieval',
    ],
    [
      'the policy lacks the model that embeds',
      of({ ...DOCS, stages: [parse, chunk, { name: 'embed', work: { embed: { model: 'e5', dimensions: 3 } } }] }),
      'dataPipelines["docs"].definition: embeds with the model "e5", which the policy must have with kind embedding (bge-m3)',
    ],
    [
      'nobody embeds',
      of(DOCS, { tenant: undefined }),
      'dataPipelines["docs"].tenant: must name the tenant (acme, docs) in whose name texts are embedded, got nothing',
    ],
    ['a stranger embeds', of(DOCS, { tenant: 'hooli' }), '(acme, docs) in whose name texts are embedded, got "hooli"'],
    [
      'a tenant has no use',
      { dataPipelines: { docs: PROPS.dataPipelines!.docs!, orders: { definition: ORDERS, tenant: 'docs' } } },
      'dataPipelines["orders"].tenant: goes with a definition that embeds; leave it out',
    ],
    [
      'a batch is too large for the plan',
      of({
        ...DOCS,
        stages: [
          parse,
          chunk,
          { name: 'embed', work: { embed: { model: 'bge-m3', dimensions: 1024, batchSize: 2000 } } },
        ],
      }),
      'a batch of 2000 texts of 256 tokens is more than the maxTokensPerRequest of the plan "ingest"',
    ],
    [
      'a backend is not in the policy',
      of(DOCS, { backend: 'other' }),
      'dataPipelines["docs"].backend: must name a backend of the policy (gpu, backup, embedder, index, online), got "other"',
    ],
    [
      'a backend has an address',
      of(DOCS, { backend: 'backup' }),
      'dataPipelines["docs"].backend: "backup" has a url in the policy: leave it out there',
    ],
    [
      'two would answer one backend',
      { featureStores: { shop: { definition: SHOP, backend: 'index' } } },
      'featureStores["shop"].backend: "index" is answered by dataPipelines["docs"] already',
    ],
    [
      'a fleet would answer it too',
      { fleets: { ...FLEETS, index: FLEETS.gpu } },
      'fleets["index"]: the backend is answered by a pipeline or a feature store: leave one of them out',
    ],
    [
      'a chat model stands on an index',
      withModel(ModelKind.CHAT),
      'dataPipelines["docs"].backend: "index" answers services, and the model "search" is of kind chat',
    ],
    [
      'a name is none',
      { dataPipelines: { 'my docs': PROPS.dataPipelines!.docs! } },
      'dataPipelines["my docs"]: its name must be 1 to 63 letters, digits and hyphens',
    ],
    ['a definition is wrong', of({ ...DOCS, stages: [] }), 'stages'],
  ])('%s', (_, change, message) => {
    expect(() => new InferencePlatform(newStack(), 'Platform', { ...PROPS, ...change })).toThrow(message);
  });

  it('a plan leaves out the model that embeds', () => {
    const plans = DATA_POLICY.plans.map((plan) => (plan.name === 'ingest' ? { ...plan, models: ['qwen3-8b'] } : plan));
    const props = { ...PROPS, policy: { ...DATA_POLICY, plans } };
    expect(() => new InferencePlatform(newStack(), 'Platform', props)).toThrow(
      'dataPipelines["docs"].tenant: the plan "ingest" of "docs" must have the model "bge-m3"',
    );
  });
});

/** Resources that a resource waits for. */
function referencesIn(value: unknown, resources: object): string[] {
  if (typeof value === 'string') return [];
  if (Array.isArray(value)) return value.flatMap((each) => referencesIn(each, resources));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    if (name === 'Metadata') return [];
    const named = name === 'Ref' ? [inner] : name === 'Fn::GetAtt' ? [(inner as string[])[0]] : [];
    const depends = name === 'DependsOn' ? [inner].flat() : [];
    const found = [...named, ...depends].filter((id): id is string => typeof id === 'string' && id in resources);
    return found.length > 0 ? found : referencesIn(inner, resources);
  });
}
