import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import type { InferencePolicy } from '../../lib/policy/policy';
import { StoreConnection } from '../../lambda/store/connection';
import { script } from '../../lambda/store/scripts';
import { startRealStore } from '../store-servers';
import { type FunctionInstance, startInstances } from './function-instances';
import { ModelServerProcess } from './model-server';
import { describeOnRealStore } from './real-store';
import { report } from './report';
import { linkTo } from './severed-link';
import type { Reply } from './workers/function-instance';

const INSTANCES = 4;
const PER_MINUTE = 40;
const BURST = 30;

const policy = (url: string): InferencePolicy => ({
  plans: [
    { name: 'small', requestsPerMinute: PER_MINUTE, tokensPerMinute: 1_000_000, parallelRequests: INSTANCES },
    { name: 'roomy', requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000, parallelRequests: 1000 },
  ],
  tenants: [{ name: 'acme', plan: 'small' }],
  backends: [{ name: 'model', url }],
  models: [{ name: 'llama', backends: ['model'] }],
});

jest.setTimeout(30_000);

describeOnRealStore('four instances, each serving one request at a time,', () => {
  let store: Awaited<ReturnType<typeof startRealStore>>;
  let model: ModelServerProcess;
  let instances: FunctionInstance[] = [];

  beforeAll(async () => {
    [store, model] = await Promise.all([startRealStore(), ModelServerProcess.start()]);
    instances = await startInstances(INSTANCES, policy(model.url), store.url, { STORE_TIMEOUT_MS: '1000' });
  });

  afterAll(async () => {
    await Promise.all([...instances, model].map((process) => process.kill()));
    await store.close();
  });

  const call = (instance: FunctionInstance, tenant: string, plan = 'small') =>
    instance.ask({ body: { model: 'llama', messages: [{ role: 'user', content: 'Hi' }] }, tenant, plan });

  /** So many requests from each instance, one after the other: first one instance, then the others at the same time. */
  async function burst(tenant: string): Promise<Reply[][]> {
    const from = async (instance: FunctionInstance) => {
      const replies: Reply[] = [];
      for (let i = 0; i < BURST; i++) replies.push(await call(instance, tenant));
      return replies;
    };
    const [first, ...others] = instances;
    return [await from(first!), ...(await Promise.all(others.map(from)))];
  }

  /** Until no instance (or each) has lost the store. */
  async function untilStoreIsLost(lost: boolean): Promise<number> {
    const started = performance.now();
    const isSo = async () => {
      const replies = await Promise.all(instances.map((instance) => call(instance, 'probe', 'roomy')));
      return replies.every(({ storeLost }) => storeLost === lost);
    };
    while (!(await isSo())) await pause(20);
    return Math.round(performance.now() - started);
  }

  const admitted = (replies: readonly Reply[]) => replies.filter(({ status }) => status === 200).length;
  const statuses = (replies: readonly Reply[][]) => new Set(replies.flat().map(({ status }) => status));

  it('share a limit, hold a share of it each while the store is lost, and share it again afterwards', async () => {
    await untilStoreIsLost(false);
    const before = await burst('acme');
    await store.close();
    await untilStoreIsLost(true);
    const meanwhile = await burst('globex');
    store = await startRealStore(store.port);
    const sharedAfterMs = await untilStoreIsLost(false);
    const after = await burst('initech');
    report('admitted of each instance', {
      limit: PER_MINUTE,
      before: before.map(admitted),
      'store lost': meanwhile.map(admitted),
      after: after.map(admitted),
      sharedAfterMs,
    });
    // A request is earned back every 1.5 s.
    const [most, share] = [PER_MINUTE + 3, PER_MINUTE / INSTANCES];
    for (const replies of [before, after]) {
      // Far beyond its share: the limit is one for all.
      expect(admitted(replies[0]!)).toBe(BURST);
      expect(admitted(replies.flat())).toBeGreaterThanOrEqual(PER_MINUTE);
      expect(admitted(replies.flat())).toBeLessThanOrEqual(most);
    }
    expect(meanwhile.map(admitted)).toEqual(instances.map(() => share));
    expect(meanwhile.flat().every(({ storeLost }) => storeLost)).toBe(true);
    expect([before, meanwhile, after].map(statuses)).toEqual(Array.from({ length: 3 }, () => new Set([200, 429])));
  });

  it('find a store again that vanished without a word', async () => {
    const link = await linkTo(store.port);
    const url = `redis://127.0.0.1:${link.port}`;
    const connection = new StoreConnection({ url, timeoutMs: 50, connectTimeoutMs: 500, onError: () => undefined });
    const echo = () => connection.trip([{ script: script('return ARGV[1]'), keys: ['k'], args: ['here'] }]);
    expect(await echo()).toEqual(['here']);
    link.sever();
    const severed = performance.now();
    let slowest = 0;
    for (;;) {
      const asked = performance.now();
      const replies = await echo().catch(() => undefined);
      slowest = Math.max(slowest, performance.now() - asked);
      if (replies) break;
      expect(performance.now() - severed).toBeLessThan(8000);
      await pause(10);
    }
    report('a silent store', { foundAfterMs: Math.round(performance.now() - severed), slowest: Math.round(slowest) });
    expect(slowest).toBeLessThan(150);
    connection.close();
    link.close();
  });
});
