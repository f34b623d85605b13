import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startEmbeddedStore } from '../../../bin/start/embedded-store';
import { startModelStub } from '../../../bin/start/model-stub';
import { ModelKind } from '../../../lib/policy/model';
import { type FunctionInstance, startInstances } from '../../hard/function-instances';

const QUICK = { firstTokenMs: 1, tokenMs: 0 };

describe('the built function', () => {
  const open: { close(): Promise<void> }[] = [];
  let instances: FunctionInstance[];

  beforeAll(async () => {
    const [store, model] = await Promise.all([startEmbeddedStore(), startModelStub({ name: 'model', pace: QUICK })]);
    open.push(store, model);
    const policy = {
      plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 60_000 }],
      tenants: [{ name: 'acme', plan: 'standard' }],
      backends: [{ name: 'model', url: model.url }],
      models: [
        { name: 'llama', backends: ['model'] },
        { name: 'embedder', kind: ModelKind.EMBEDDING, backends: ['model'] },
      ],
      cache: { semantic: { embeddingModel: 'embedder', minimumSimilarity: 0.99, timeoutMs: 5000 } },
    };
    instances = await startInstances(2, policy, store.url, { STORE_TIMEOUT_MS: '2000' });
  });
  afterAll(async () => {
    await Promise.all(instances.map((instance) => instance.kill()));
    await Promise.all(open.map((server) => server.close()));
  });

  it('answers by meaning, each instance by what it has seen where the store cannot search', async () => {
    const ask = async (instance: number, content: string) => {
      const body = { model: 'llama', messages: [{ role: 'user', content }] };
      const { status, headers, text } = await instances[instance]!.ask({ body, tenant: 'acme', plan: 'standard' });
      return { status, cache: headers['x-cache'], text };
    };
    const computed = await ask(0, 'How do I reset my password?');
    expect(computed).toMatchObject({ status: 200, cache: 'miss' });
    expect(await ask(0, 'how do I reset my PASSWORD')).toEqual({ ...computed, cache: 'semantic' });
    expect(await ask(0, 'How can I delete my account?')).toMatchObject({ status: 200, cache: 'miss' });
    expect(await ask(1, 'How do I reset my password?')).toEqual({ ...computed, cache: 'hit' });
    expect(await ask(1, 'how do I reset my PASSWORD')).toMatchObject({ status: 200, cache: 'miss' });
  });
});
