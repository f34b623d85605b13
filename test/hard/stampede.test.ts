import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import type { InferencePolicy } from '../../lib/policy/policy';
import { startRealStore, type StoreServer } from '../store-servers';
import { type FunctionInstance, startInstances } from './function-instances';
import { ModelServerProcess } from './model-server';
import { describeOnRealStore } from './real-store';
import { report } from './report';
import type { Reply } from './workers/function-instance';

const PROCESSES = 20;
const REQUESTS = 100;

/** Long for a store, short for a machine that starts twenty processes: what is tried is the stampede, not the loss. */
const STORE_TIMEOUT_MS = '10000';

const policy = (url: string): InferencePolicy => ({
  plans: [
    { name: 'roomy', requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000, parallelRequests: 1000 },
    { name: 'small', requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000, parallelRequests: 1000 },
  ],
  tenants: [
    { name: 'acme', plan: 'roomy' },
    { name: 'burst', plan: 'roomy' },
    { name: 'quiet', plan: 'small' },
  ],
  backends: [
    { name: 'model', url },
    // Room for twenty requests of some 100 tokens.
    { name: 'short', url, capacityTokens: 2100 },
  ],
  models: [
    { name: 'llama', backends: ['model'] },
    { name: 'busy', backends: ['short'] },
  ],
  cache: {},
});

jest.setTimeout(60_000);

describeOnRealStore('twenty processes at once', () => {
  let store: StoreServer;
  let model: ModelServerProcess;
  let instances: FunctionInstance[] = [];

  beforeAll(async () => {
    [store, model] = await Promise.all([startRealStore(), ModelServerProcess.start()]);
    instances = await startInstances(PROCESSES, policy(model.url), store.url, { STORE_TIMEOUT_MS });
    await Promise.all(instances.map((_, i) => ask(i, 'acme', 'llama', `warm ${i}`)));
  });

  afterAll(async () => {
    await Promise.all([...instances, model].map((process) => process.kill()));
    await store.close();
  });

  const ask = (i: number, tenant: string, name: string, content: string, stream = false): Promise<Reply> =>
    instances[i % PROCESSES]!.ask({
      body: { model: name, messages: [{ role: 'user', content }], max_tokens: 100, stream },
      tenant,
      plan: tenant === 'quiet' ? 'small' : 'roomy',
    });

  it.each([false, true])('call the backend once for a hundred identical requests (streamed: %s)', async (stream) => {
    await model.behave({ kind: 'healthy', firstTokenMs: 300 });
    const many = Array.from({ length: REQUESTS }, (_, i) => ask(i, 'acme', 'llama', 'The same question', stream));
    const replies = await Promise.all(many);
    const calls = await model.calls();
    const states = replies.map(({ headers }) => headers['x-cache']);
    report('identical requests', { processes: PROCESSES, requests: REQUESTS, streamed: stream, calls });
    expect(calls).toBe(1);
    expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(states.filter((state) => state === 'miss')).toHaveLength(1);
    expect(states.filter((state) => state === 'hit')).toHaveLength(REQUESTS - 1);
  });

  it('give a quiet tenant its share of a backend while another tries to take all of it', async () => {
    await model.behave({ kind: 'healthy', firstTokenMs: 400 });
    let over = false;
    const burst = Array.from({ length: 60 }, async (_, i) => {
      const statuses: number[] = [];
      for (let n = 0; !over; n++) statuses.push((await ask(i, 'burst', 'busy', `burst ${i} ${n}`)).status);
      return statuses;
    });
    await new Promise((resolve) => setTimeout(resolve, 600));
    const quiet: number[] = [];
    for (let n = 0; n < 4; n++) {
      const replies = await Promise.all([0, 1, 2, 3, 4].map((i) => ask(i + n * 5, 'quiet', 'busy', `quiet ${n} ${i}`)));
      quiet.push(...replies.map(({ status }) => status));
    }
    over = true;
    const statuses = (await Promise.all(burst)).flat();
    const refused = statuses.filter((status) => status === 429).length;
    report('fair shares', { quiet: quiet.length, 'quiet refused': quiet.filter((s) => s !== 200).length, refused });
    expect(new Set(quiet)).toEqual(new Set([200]));
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
  });
});
