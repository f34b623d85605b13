import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Account, LambdaFunction, SecurityGroup } from './account';
import { Cloud, whatIsMissing } from './cloud';

const STACK = 'InferencePlatform';
const REHEARSAL_TIMEOUT_MS = 300_000;

const API_OF_BATCHES = 'Takes files, batches and jobs';
const CONTROL = 'Splits batches and puts their results together';
const WORKER = 'Works on the items of batches and jobs';

const PROFILES = [
  { profile: 'prod', minCapacity: 3, maxCapacity: 9, deletionProtection: 'true' },
  { profile: 'dev', minCapacity: 1, maxCapacity: 3, deletionProtection: 'false' },
];

const missing = whatIsMissing();
const required = process.env.REQUIRE_REHEARSAL === '1';
if (missing && !required) process.stdout.write(`deploy rehearsal skipped: ${missing}\n`);

(missing && !required ? describe.skip : describe).each(PROFILES)(
  'the reference stack, profile $profile, deployed to an account in moto',
  ({ profile, minCapacity, maxCapacity, deletionProtection }) => {
    const cloud = new Cloud();
    let bootstrapped: Account;
    let account: Account;
    let encryptionKey: string;

    // By its name: moto writes the host of a queue's URL in more than one way.
    const queueAt = (url: string) => {
      return account.queues.find(({ QueueArn }) => QueueArn.split(':').at(-1) === url.split('/').at(-1))!;
    };
    const worker = () => functionThat(account, WORKER).Environment.Variables;
    const tenants = () => account.tables.find(({ TableName }) => TableName.includes('ApiTenants'))!;

    beforeAll(async () => {
      if (missing) throw new Error(missing);
      await cloud.start();
      await cloud.cdk('bootstrap');
      bootstrapped = await cloud.account();
      const context = ['--context', `profile=${profile}`, '--output', cloud.assembly];
      await cloud.cdk('deploy', STACK, '--require-approval', 'never', ...context);
      account = await cloud.account();
      encryptionKey = account.keys[0]!.Arn;
    }, REHEARSAL_TIMEOUT_MS);

    afterAll(async () => {
      await cloud.stop();
    });

    it('deploys without an error in moto', () => {
      process.stdout.write(`${profile}: types that moto does not know: ${cloud.skippedTypes.join(' ')}\n`);
      expect(cloud.troubles).toBe('');
      expect(account.stacks.find(({ StackName }) => StackName === STACK)?.StackStatus).toBe('CREATE_COMPLETE');
    });

    it('encrypts with one key of its own that rotates', () => {
      expect(account.keys).toEqual([expect.objectContaining({ rotates: true })]);
      for (const log of account.logGroups) expect(log.kmsKeyId).toBe(encryptionKey);
      for (const log of account.logGroups) expect(log.retentionInDays).toBeGreaterThan(0);
    });

    it('queues items and batches under the key, each with its dead letters, by names of their own', () => {
      expect(account.queues).toHaveLength(4);
      const limits = { [worker().WORK_QUEUE_URL!]: ['4140', 100], [worker().CONTROL_QUEUE_URL!]: ['5400', 5] } as const;
      for (const [url, [visibility, maxReceiveCount]] of Object.entries(limits)) {
        const queue = queueAt(url);
        expect(queue).toMatchObject({ KmsMasterKeyId: encryptionKey, VisibilityTimeout: visibility });
        const redrive = JSON.parse(queue.RedrivePolicy!) as { deadLetterTargetArn: string };
        expect(redrive).toMatchObject({ maxReceiveCount });
        const deadLetters = account.queues.find(({ QueueArn }) => QueueArn === redrive.deadLetterTargetArn)!;
        expect(deadLetters).toMatchObject({ KmsMasterKeyId: encryptionKey, MessageRetentionPeriod: '1209600' });
        // The name by which its dead letters know it: the stack's id and its place. moto does not tell RedriveAllowPolicy.
        expect(queue.QueueArn).toMatch(/:jobs-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9a-f]{8}$/);
      }
    });

    it('feeds workers and controller from the queues that the functions are told of, beside one bucket and one table', () => {
      const told = [API_OF_BATCHES, CONTROL, WORKER].map((description) => {
        const { Variables } = functionThat(account, description).Environment;
        const { BATCH_BUCKET, BATCH_TABLE, WORK_QUEUE_URL, CONTROL_QUEUE_URL, DEAD_LETTER_QUEUE_URL } = Variables;
        return { BATCH_BUCKET, BATCH_TABLE, WORK_QUEUE_URL, CONTROL_QUEUE_URL, DEAD_LETTER_QUEUE_URL };
      });
      expect(told).toEqual([told[0], told[0], told[0]]);
      const { BATCH_BUCKET, BATCH_TABLE, WORK_QUEUE_URL, CONTROL_QUEUE_URL, DEAD_LETTER_QUEUE_URL } = told[0]!;
      const arnOf = (url: string) => queueAt(url).QueueArn;
      expect(account.buckets.map(({ Name }) => Name)).toContain(BATCH_BUCKET);
      expect(account.tables.map(({ TableName }) => TableName)).toContain(BATCH_TABLE);
      expect(queueAt(DEAD_LETTER_QUEUE_URL!)).not.toHaveProperty('RedrivePolicy');
      const feeds = account.feeds.map(({ EventSourceArn, FunctionArn, BatchSize }) => [
        EventSourceArn,
        FunctionArn,
        BatchSize,
      ]);
      expect(feeds.sort()).toEqual(
        [
          [arnOf(WORK_QUEUE_URL!), functionThat(account, WORKER).FunctionArn, 5],
          [arnOf(CONTROL_QUEUE_URL!), functionThat(account, CONTROL).FunctionArn, 1],
        ].sort(),
      );
    });

    it('runs every function on Node 24 for arm64, traced', () => {
      expect(account.functions.length).toBeGreaterThanOrEqual(4);
      for (const each of ownFunctions(account)) {
        expect(each).toMatchObject({
          Runtime: 'nodejs24.x',
          Architectures: ['arm64'],
          TracingConfig: { Mode: 'Active' },
        });
      }
    });

    it('gives the inference function its policy, private subnets in three zones and the addresses of its backends', () => {
      const inference = functionThat(account, 'Serves inference requests');
      expect(inference.Layers.map(({ Arn }) => Arn)).toEqual([`${account.layers[0]!.LayerArn}:1`]);
      expect(zonesOf(account, inference.VpcConfig!.SubnetIds)).toHaveLength(3);
      const { BACKENDS, TRUSTED_CERTIFICATES, STORE_URL } = inference.Environment.Variables;
      const backends = Object.values(JSON.parse(BACKENDS!) as Record<string, { url: string; serverName: string }>);
      expect(backends.map(({ url }) => url).sort()).toEqual(
        account.loadBalancers.map(({ DNSName }) => `https://${DNSName}`).sort(),
      );
      expect(backends[0]!.serverName).toBe(account.certificates[0]!.DomainName);
      const { pem, authority } = account.certificates[0]!;
      // moto adds one of Amazon's to every chain.
      expect(authority).toContain(TRUSTED_CERTIFICATES!.trim());
      expect(new X509Certificate(pem).verify(new X509Certificate(authority).publicKey)).toBe(true);
      expect(STORE_URL).toMatch(/^rediss:/);
    });

    it('gives the authorizer the table of tenants', () => {
      const authorizer = functionThat(account, 'Finds the tenant of an API key');
      expect(authorizer.Environment.Variables.TABLE_NAME).toBe(tenants().TableName);
    });

    it('keeps of each key that API Gateway made its SHA-256 and nothing else', () => {
      const expected = [
        { description: 'Tenant acme', tenant: 'acme', plan: 'standard' },
        { description: 'Tenant documentation', tenant: 'documentation', plan: 'background' },
        { description: 'Tenant globex', tenant: 'globex', plan: 'premium' },
      ].map(({ description, tenant, plan }) => {
        const key = account.apiKeys.find((each) => each.description === description)!;
        const hash = createHash('sha256').update(key.value).digest('hex');
        return { keyHash: { S: hash }, tenant: { S: tenant }, plan: { S: plan }, keyId: { S: key.id } };
      });
      const { items } = tenants();
      expect(items.toSorted((a, b) => (a.tenant!.S < b.tenant!.S ? -1 : 1))).toEqual(expected);
    });

    it('says how to read each key, with the id of the key', () => {
      const outputs = account.stacks.find(({ StackName }) => StackName === STACK)!.Outputs!;
      for (const { id, description, enabled } of account.apiKeys) {
        const name = `ReadKeyOf${description.replace('Tenant ', '')}`;
        expect(outputs.find(({ OutputKey }) => OutputKey === name)?.OutputValue).toContain(`--api-key ${id} `);
        expect(enabled).toBe(true);
      }
    });

    it('answers each path of the API by its function, streamed, for holders of a key', () => {
      const api = account.restApis[0]!;
      expect(api.apiKeySource).toBe('AUTHORIZER');
      const methods = api.resources.flatMap(({ path, resourceMethods }) =>
        Object.entries(resourceMethods ?? {}).map(([verb, method]) => ({ route: `${verb} ${path}`, ...method })),
      );
      const inference = ['POST /v1/chat/completions', 'POST /v1/completions', 'POST /v1/embeddings', 'GET /v1/models'];
      const batches = ['POST /v1/files', 'GET /v1/files/{file}/content', 'POST /v1/batches', 'POST /v1/jobs'];
      expect(methods.map(({ route }) => route)).toEqual(
        expect.arrayContaining([...inference, ...batches, 'GET /healthz']),
      );
      for (const method of methods.filter(({ route }) => route !== 'GET /healthz')) {
        expect(method).toMatchObject({ authorizationType: 'CUSTOM', apiKeyRequired: true });
        const isOfBatches = /\/v1\/(files|batches|jobs)/.test(method.route);
        const { FunctionName } = functionThat(account, isOfBatches ? API_OF_BATCHES : 'Serves inference requests');
        expect(method.methodIntegration.uri).toContain(`${FunctionName}/response-streaming-invocations`);
      }
    });

    it('holds each fleet between its limits, over three zones, in service once the model answers', () => {
      expect(account.groups).toHaveLength(3);
      for (const group of account.groups) {
        expect(group).toMatchObject({ MinSize: minCapacity, MaxSize: maxCapacity, HealthCheckType: 'ELB' });
        expect(group.TargetGroupARNs).toHaveLength(1);
        expect(zonesOf(account, group.VPCZoneIdentifier.split(','))).toHaveLength(3);
        const { Overrides } = group.MixedInstancesPolicy.LaunchTemplate;
        expect(Overrides.map(({ InstanceType }) => InstanceType)).toEqual(['g6.xlarge', 'g5.xlarge']);
      }
    });

    it('launches instances with IMDSv2 only and encrypted volumes', () => {
      const used = account.groups.map(
        (group) => group.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId,
      );
      expect(account.launchTemplates.map((template) => template.LaunchTemplateId).sort()).toEqual(used.sort());
      for (const template of account.launchTemplates) {
        expect(template.MetadataOptions).toMatchObject({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
        for (const { Ebs } of template.BlockDeviceMappings) {
          expect(Ebs).toMatchObject({ Encrypted: true, KmsKeyId: encryptionKey });
        }
      }
    });

    it('balances each fleet internally, by TLS on both sides with the certificate that it made', () => {
      const [certificate] = account.certificates;
      expect(account.certificates).toHaveLength(1);
      expect(certificate).toMatchObject({ DomainName: 'model-endpoint.internal', Type: 'IMPORTED' });
      // The fourth is that of retrieval.
      expect(account.loadBalancers).toHaveLength(4);
      for (const { Scheme, AvailabilityZones, attributes, listeners } of account.loadBalancers) {
        expect(Scheme).toBe('internal');
        expect(AvailabilityZones).toHaveLength(3);
        expect(attributes).toMatchObject({
          'deletion_protection.enabled': deletionProtection,
          'access_logs.s3.enabled': 'true',
          'routing.http.drop_invalid_header_fields.enabled': 'true',
        });
        expect(listeners).toHaveLength(1);
        expect(listeners[0]).toMatchObject({ Port: 443, Protocol: 'HTTPS' });
        expect(listeners[0]!.SslPolicy).toMatch(/TLS13/);
        expect(listeners[0]!.Certificates).toEqual([{ CertificateArn: certificate!.CertificateArn }]);
      }
      const fleets = account.targetGroups.filter(({ Protocol }) => Protocol);
      expect([fleets.length, account.targetGroups.length]).toEqual([3, 4]);
      for (const group of fleets) {
        expect(group).toMatchObject({ Protocol: 'HTTPS', HealthCheckProtocol: 'HTTPS', HealthCheckPath: '/health' });
        expect(group.attributes['load_balancing.algorithm.type']).toBe('least_outstanding_requests');
      }
    });

    it('tells the pipeline and retrieval what embeds and where the pointers are, and the gateway where retrieval is', () => {
      const embeddings = functionThat(account, 'Embeds texts for pipelines and retrieval');
      const gateway = functionThat(account, 'Serves inference requests');
      const readers = account.functions.filter(({ Environment }) => Environment?.Variables.EMBEDDING_FUNCTION);
      expect(readers.map(({ Description }) => Description.split(' ')[0]).sort()).toEqual(['Finds', 'Plans,', 'Takes']);
      for (const { Environment } of readers) {
        expect(Environment.Variables.EMBEDDING_FUNCTION).toBe(embeddings.FunctionArn);
        expect(account.tables.map(({ TableName }) => TableName)).toContain(Environment.Variables.POINTER_TABLE);
      }
      const { retrieval } = JSON.parse(gateway.Environment.Variables.BACKENDS!) as { retrieval: { url: string } };
      const group = groupThat(account, 'Load balancer of a function').GroupId;
      const balancer = account.loadBalancers.find(({ SecurityGroups }) => SecurityGroups.includes(group))!;
      expect(retrieval.url).toBe(`https://${balancer.DNSName}`);
    });

    it('gives operators a function that knows the gateway’s policy, store and name, and says what it is called', () => {
      const gateway = functionThat(account, 'Serves inference requests');
      const control = functionThat(account, 'Reads breakers for operators, and overrides them');
      expect(control.Layers).toEqual(gateway.Layers);
      const common = ['STORE_URL', 'STORE_USER', 'SERVICE_NAME', 'EVENT_BUS'];
      for (const name of common) {
        expect(gateway.Environment.Variables[name]).toBeTruthy();
        expect(control.Environment.Variables[name]).toBe(gateway.Environment.Variables[name]);
      }
      const outputs = account.stacks.find(({ StackName }) => StackName === STACK)!.Outputs!;
      const named = outputs.find(({ OutputKey }) => OutputKey === 'BreakerControlFunctionName');
      expect(named?.OutputValue).toBe(control.FunctionName);
    });

    it('tells the scaling signal its fleets by groups that are there, and the queue only where a fleet counts jobs', () => {
      const { Environment } = functionThat(account, 'Publishes the load of the fleets each ten seconds');
      const told = JSON.parse(Environment.Variables.FLEETS!) as { backend: string; group: string }[];
      expect(told.map(({ group }) => group).sort()).toEqual(
        account.groups.map(({ AutoScalingGroupName }) => AutoScalingGroupName).sort(),
      );
      expect(Environment.Variables.QUEUE_URL).toBeUndefined();
    });

    it('lets gateway, workers, operators, the scaling signal and what embeds reach the store, gateway and workers the balancers, what embeds that of its model, each balancer its fleet, and nobody else anything', () => {
      const gateway = functionThat(account, 'Serves inference requests').VpcConfig!.SecurityGroupIds[0]!;
      const workers = functionThat(account, WORKER).VpcConfig!.SecurityGroupIds[0]!;
      const control = functionThat(account, 'Reads breakers for operators, and overrides them');
      const signal = functionThat(account, 'Publishes the load of the fleets each ten seconds');
      const store = groupThat(account, 'Store of limits, breakers and cached answers');
      const fleets = new Set(account.launchTemplates.flatMap(({ SecurityGroupIds }) => SecurityGroupIds));
      const balancers = account.loadBalancers.flatMap(({ SecurityGroups }) => SecurityGroups);
      const retrieval = groupThat(account, 'Load balancer of a function').GroupId;
      const ofFleets = balancers.filter((balancer) => balancer !== retrieval);
      const embeddings = functionThat(account, 'Embeds texts for pipelines and retrieval');
      const embedding = embeddings.VpcConfig!.SecurityGroupIds[0]!;
      const { 'embedding-gpu': model } = JSON.parse(embeddings.Environment.Variables.BACKENDS!) as {
        'embedding-gpu': { url: string };
      };
      const modelBalancer = account.loadBalancers.find(({ DNSName }) => model.url === `https://${DNSName}`)!;

      const allowed = [
        { from: gateway, to: store.GroupId, port: 6380 },
        { from: workers, to: store.GroupId, port: 6380 },
        { from: control.VpcConfig!.SecurityGroupIds[0]!, to: store.GroupId, port: 6380 },
        { from: signal.VpcConfig!.SecurityGroupIds[0]!, to: store.GroupId, port: 6380 },
        { from: embedding, to: store.GroupId, port: 6380 },
        { from: embedding, to: modelBalancer.SecurityGroups[0]!, port: 443 },
        ...balancers.map((balancer) => ({ from: gateway, to: balancer, port: 443 })),
        ...balancers.map((balancer) => ({ from: workers, to: balancer, port: 443 })),
        ...ofFleets.map((balancer) => {
          const [rule] = account.securityGroups.find(({ GroupId }) => GroupId === balancer)!.egress;
          return { from: balancer, to: rule!.peer, port: 8000 };
        }),
      ];
      expect(new Set(allowed.slice(-ofFleets.length).map(({ to }) => to))).toEqual(fleets);
      expect(byText(ingressOf(account))).toEqual(byText(allowed));
      const inward = egressOf(account).filter(({ to }) => to.startsWith('sg-'));
      expect(byText(inward)).toEqual(byText(allowed));
    });

    it(
      'leaves, when destroyed, what the template retains and nothing else',
      async () => {
        await cloud.cdk('destroy', STACK, '--force', '--app', cloud.assembly);
        expect(cloud.troubles).toBe('');
        const left = await cloud.account();
        const resources = Object.values(cloud.template(STACK).Resources);
        const retained = (type: string) =>
          resources.filter((each) => each.Type === type && each.DeletionPolicy === 'Retain').length;
        expect(countsOf(left)).toEqual({
          ...countsOf(bootstrapped),
          keys: retained('AWS::KMS::Key'),
          logGroups: retained('AWS::Logs::LogGroup'),
          tables: retained('AWS::DynamoDB::Table'),
          buckets: countsOf(bootstrapped).buckets! + retained('AWS::S3::Bucket'),
          roles: countsOf(bootstrapped).roles! + retained('AWS::IAM::Role'),
        });
      },
      REHEARSAL_TIMEOUT_MS,
    );
  },
);

/** The functions of the platform, without those that the CDK adds for its own ends. */
function ownFunctions(account: Account): LambdaFunction[] {
  return account.functions.filter(({ FunctionName }) => FunctionName.startsWith(`${STACK}-Platform`));
}

function functionThat(account: Account, description: string): LambdaFunction {
  return account.functions.find((each) => each.Description === description)!;
}

function groupThat(account: Account, description: string): SecurityGroup {
  return account.securityGroups.find((each) => each.Description === description)!;
}

function zonesOf(account: Account, subnets: string[]): string[] {
  const zones = account.subnets.filter(({ SubnetId }) => subnets.includes(SubnetId));
  return [...new Set(zones.map(({ AvailabilityZone }) => AvailabilityZone))];
}

interface Way {
  from: string;
  to: string;
  port: number | null;
}

function ingressOf(account: Account): Way[] {
  return account.securityGroups.flatMap(({ GroupId, ingress }) =>
    ingress.map(({ peer, port }) => ({ from: peer, to: GroupId, port })),
  );
}

function egressOf(account: Account): Way[] {
  return account.securityGroups.flatMap(({ GroupId, egress }) =>
    egress.map(({ peer, port }) => ({ from: GroupId, to: peer, port })),
  );
}

function byText(ways: Way[]): string[] {
  return ways.map(({ from, to, port }) => `${from} to ${to}:${port}`).sort();
}

/** How many of each kind there are. */
function countsOf(account: Account): Record<string, number> {
  return Object.fromEntries(Object.entries(account).map(([kind, items]) => [kind, (items as unknown[]).length]));
}
