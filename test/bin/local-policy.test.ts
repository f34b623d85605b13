import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { announcement, type AnnouncedRun } from '../../bin/start/announcement';
import { serveBackends } from '../../bin/start/local-backends';
import { loadLocalPolicy } from '../../bin/start/local-policy';
import { serveStore } from '../../bin/start/local-store';
import { UserError } from '../../bin/user-error';
import { type InferencePolicy, ModelKind } from '../../lib/policy';
import { validatePolicy } from '../../lib/policy/validate';

const POLICY: InferencePolicy = {
  plans: [{ name: 'standard', requestsPerMinute: 60, tokensPerMinute: 1000 }],
  tenants: [
    { name: 'acme', plan: 'standard', keys: ['sk-of-acme-1', 'sk-of-acme-2'] },
    { name: 'globex', plan: 'standard' },
  ],
  backends: [{ name: 'fleet' }, { name: 'hosted', url: 'https://models.example.com' }],
  models: [{ name: 'vectors', kind: ModelKind.EMBEDDING, backends: ['fleet', 'hosted'] }],
};

function fileWith(content: unknown): string {
  const file = join(mkdtempSync(join(tmpdir(), 'policy-')), 'policy.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

describe('the policy of a local run', () => {
  it('is the reference policy where none is given, with a new key for each tenant at each start', () => {
    const [first, second] = [loadLocalPolicy(undefined), loadLocalPolicy(undefined)];
    expect(first.policy.tenants.length).toBeGreaterThan(1);
    for (const { name } of first.policy.tenants) {
      expect(first.keys.get(name)?.[0]).toMatch(new RegExp(`^sk-local-${name}-[0-9a-f]{24}$`));
      expect(second.keys.get(name)).not.toEqual(first.keys.get(name));
    }
  });

  it('may hold keys, which do not reach the synthesis', () => {
    const { policy, keys } = loadLocalPolicy(fileWith(POLICY));
    expect(keys.get('acme')).toEqual(['sk-of-acme-1', 'sk-of-acme-2']);
    expect(keys.get('globex')).toHaveLength(1);
    expect(JSON.stringify(policy)).not.toContain('sk-of-acme');
    expect(validatePolicy(policy, { plainKeysAllowed: false })).toEqual([]);
  });

  it('names every fault', () => {
    const file = fileWith({ ...POLICY, plans: [], tenants: [{ name: 'acme' }] });
    expect(() => loadLocalPolicy(file)).toThrow(UserError);
    expect(() => loadLocalPolicy(file)).toThrow(/plans: must be a list[^]*tenants\[0\]\.plan: is required/);
  });
});

describe('the backends of a local run', () => {
  it('are stubs in place of Bedrock', async () => {
    const backends = await serveBackends({ ...POLICY, backends: [{ name: 'nova', bedrock: { modelId: 'x' } }] }, {});
    expect(backends.list).toMatchObject([{ name: 'nova', isStub: true }]);
    await backends.close();
  });

  it('are stubs at the path that the policy gives them', async () => {
    const own = { name: 'search', path: '/search' };
    const models = [{ name: 'retrieval', kind: ModelKind.SERVICE, backends: ['search'] }];
    const backends = await serveBackends({ ...POLICY, backends: [own], models }, {});
    const answer = await fetch(`${backends.list[0]!.url}/search`, { method: 'POST', body: '{"query":"x"}' });
    expect(await answer.json()).toEqual({ service: 'search', request: { query: 'x' } });
    await backends.close();
  });

  it('are stubs, but where the policy or the user has an address', async () => {
    const backends = await serveBackends(POLICY, {});
    expect(backends.list).toMatchObject([
      { name: 'fleet', url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as unknown, isStub: true },
      { name: 'hosted', url: 'https://models.example.com', isStub: false },
    ]);
    await backends.close();
    const given = await serveBackends(POLICY, { fleet: 'http://localhost:1', hosted: 'http://localhost:2' });
    expect(given.list.map(({ url }) => url)).toEqual(['http://localhost:1', 'http://localhost:2']);
    await given.close();
  });

  it('must be in the policy', async () => {
    await expect(serveBackends(POLICY, { other: 'http://localhost:1' })).rejects.toThrow(
      '--backend other: the policy has no such backend, only fleet, hosted',
    );
  });
});

describe('the store of a local run', () => {
  it('is described without its password', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const url = `redis://user:secret@127.0.0.1:${port}/0`;
    const store = await serveStore(url);
    server.close();
    expect(store).toMatchObject({ url, description: `redis://127.0.0.1:${port}` });
  });

  it('is embedded where no address is given', async () => {
    const store = await serveStore(undefined);
    expect(store.url).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/);
    expect(store.description).toContain('VALKEY_URL');
    await store.close();
  });
});

describe('the announcement', () => {
  const announced = (policy: InferencePolicy, services: Partial<AnnouncedRun> = {}) =>
    announcement({
      url: 'http://127.0.0.1:1',
      localPolicy: { source: 'policy.json', policy, keys: new Map([['acme', ['sk-a', 'sk-b']]]) },
      accountDescription: 'queues, tables and buckets in this process',
      storeDescription: 'embedded',
      backends: [
        { name: 'fleet', url: 'http://127.0.0.1:2', isStub: true },
        { name: 'hosted', url: 'https://models.example.com', isStub: false },
      ],
      ...{ program: 'npx cdk-inference-platform', pipelines: [], featureStores: [], ...services },
    });

  it('says where, with which key, which models, who serves what', () => {
    const lines = announced(POLICY)
      .split('\n')
      .map((line) => line.trim().replace(/ +/g, ' '));
    expect(lines).toEqual(
      expect.arrayContaining([
        'base URL http://127.0.0.1:1/v1',
        'demo key sk-a',
        'models vectors embedding fleet → hosted',
        'tenants acme standard sk-a',
        'acme standard sk-b',
        'store embedded',
        'backends fleet http://127.0.0.1:2 model stub in this process',
        'hosted https://models.example.com',
      ]),
    );
  });

  it.each([
    [ModelKind.CHAT, '/v1/chat/completions', 'messages'],
    [ModelKind.COMPLETION, '/v1/completions', 'prompt'],
    [ModelKind.EMBEDDING, '/v1/embeddings', 'input'],
  ])('shows a call that a %s model answers', (kind, path, field) => {
    const text = announced({ ...POLICY, models: [{ name: 'm', kind, backends: ['fleet'] }] });
    expect(text).toContain(`curl -s http://127.0.0.1:1${path} -H 'Authorization: Bearer sk-a'`);
    expect(text).toContain(`"model":"m","${field}":`);
  });

  it('shows how a pipeline is published and asked, each with the key that it is for', () => {
    const text = announced(
      { ...POLICY, models: [{ name: 'search', kind: ModelKind.SERVICE, backends: ['index'] }] },
      { pipelines: [{ backend: 'index', name: 'docs', config: 'docs.json', output: '/data', tenant: 'nobody' }] },
    );
    expect(text).toMatch(/^ {2}services {2}index {2}pipeline docs: nothing is published yet$/m);
    expect(text).toMatch(
      /^ {2}OPENAI_API_KEY=sk-a npx cdk-inference-platform pipeline run --config docs\.json --output \/data --input DIR --endpoint http:\/\/127\.0\.0\.1:1$/m,
    );
    expect(text).toMatch(/^ {2}curl -s http:\/\/127\.0\.0\.1:1\/v1\/services\/search .*"query":/m);
  });

  it('shows how features are sent in and asked for', () => {
    const store = { backend: 'features', name: 'shop', entity: 'customer', ingestFunction: 'Ingest' };
    const text = announced(
      { ...POLICY, models: [{ name: 'features', kind: ModelKind.SERVICE, backends: ['features'] }] },
      { featureStores: [{ ...store, awsEndpoint: 'http://127.0.0.1:2' }] },
    );
    expect(text).toContain('features ingest FILE --function Ingest --aws-endpoint http://127.0.0.1:2\n');
    expect(text).toContain(`-d '{"entity":"customer","keys":["KEY"]}'`);
  });
});
