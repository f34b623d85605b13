import { afterAll, afterEach, beforeAll, expect, it, jest } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis as Valkey } from 'ioredis';
import { policyFile } from '../end-to-end/policy';
import { type RunningPlatform, startPlatform } from '../end-to-end/processes';
import { startRealStore } from '../store-servers';
import { ClientLoad, type Seen } from './client-load';
import { ModelServerProcess } from './model-server';
import { describeOnRealStore, processOf } from './real-store';
import { quantile, report } from './report';

/** How long the store is away. */
const LOSS_MS = Number(process.env.HARD_SECONDS ?? 0.8) * 1000;
const CLIENTS = 4;

/** The default of `STORE_TIMEOUT_MS`, and what a busy machine of two cores adds. */
const STORE_TIMEOUT_MS = 50;
const SLACK_MS = 100;

const POLICY = {
  plans: [{ name: 'roomy', requestsPerMinute: 10_000_000, tokensPerMinute: 1_000_000_000, parallelRequests: 40 }],
  tenants: [{ name: 'acme', plan: 'roomy' }],
  backends: [{ name: 'model' }],
  models: [{ name: 'llama', backends: ['model'] }],
};

jest.setTimeout(LOSS_MS + 30_000);

describeOnRealStore('under load, a store', () => {
  let store: Awaited<ReturnType<typeof startRealStore>>;
  let model: ModelServerProcess;
  let platform: RunningPlatform;
  let client: Valkey;
  let load: ClientLoad;

  beforeAll(async () => {
    [store, model] = await Promise.all([startRealStore(), ModelServerProcess.start()]);
    const args = ['--policy', policyFile(POLICY), '--backend', `model=${model.url}`];
    platform = await startPlatform(args, { VALKEY_URL: store.url });
    client = new Valkey(store.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    client.on('error', () => undefined);
    load = new ClientLoad({ baseUrl: platform.baseUrl, key: platform.demoKey, model: 'llama' }, CLIENTS);
  });

  afterAll(async () => {
    await load.stop();
    await platform.process.end();
    client.disconnect();
    await Promise.all([model.kill(), store.close()]);
  });

  afterEach(shared);

  /** Waits until the store keeps the books: each request moves the arrival time there. */
  async function shared(): Promise<void> {
    const started = performance.now();
    const arrival = async () => Number((await client.hget('{acme}:limits', 'requests')) ?? 0);
    for (let rises = 0, last = await arrival(); rises < 5; await pause(20)) {
      const next = await arrival();
      rises = next > last ? rises + 1 : 0;
      last = next;
      if (performance.now() - started > 8000)
        throw new Error(`not shared again; the last was ${JSON.stringify(load.seen.at(-1))}`);
    }
  }

  /** Takes the store away for a while, and returns what clients saw before, and from then on until it was back. */
  async function without(name: string, take: () => unknown, giveBack: () => unknown): Promise<[Seen[], Seen[]]> {
    const begun = performance.now();
    await load.until((latest) => latest.length >= 100);
    const before = load.endedSince(begun);
    const taken = performance.now();
    await take();
    await pause(LOSS_MS);
    await giveBack();
    const returned = performance.now();
    await shared();
    const during = load.endedSince(taken);
    const ms = (seen: readonly Seen[], share: number) =>
      Math.round(
        quantile(
          seen.map(({ milliseconds }) => milliseconds),
          share,
        ),
      );
    report(name, {
      requests: during.length,
      'not 200': during.filter(({ status }) => status !== 200).length,
      'p50 before, during': [ms(before, 0.5), ms(during, 0.5)],
      'p99 before, during': [ms(before, 0.99), ms(during, 0.99)],
      'slowest before, during': [ms(before, 1), ms(during, 1)],
      'limits shared again after ms': Math.round(performance.now() - returned),
    });
    return [before, during];
  }

  /** No request fails, and none waits longer for it than the time-out allows. */
  function expectUnharmed([before, during]: [Seen[], Seen[]]): void {
    expect(during.filter(({ status, end }) => status !== 200 || end !== 'complete')).toEqual([]);
    const added =
      Math.max(...during.map(({ milliseconds }) => milliseconds)) -
      Math.max(...before.map((seen) => seen.milliseconds));
    expect(added).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
  }

  async function slotsAfterLoad(): Promise<number> {
    await load.stop();
    await pause(100);
    const slots = await client.zcard('{acme}:parallel');
    load = new ClientLoad({ baseUrl: platform.baseUrl, key: platform.demoKey, model: 'llama' }, CLIENTS);
    return slots;
  }

  it('that is killed and restarted fails no request, and is used again', async () => {
    const { port } = store;
    expectUnharmed(
      await without(
        'store killed',
        () => store.close(),
        async () => (store = await startRealStore(port)),
      ),
    );
    expect(await slotsAfterLoad()).toBe(0);
  });

  it('that stalls fails no request, and keeps no slot of a request that it counted too late', async () => {
    const pid = await processOf(store.url);
    const stop = () => process.kill(pid, 'SIGSTOP');
    expectUnharmed(await without('store stalled', stop, () => process.kill(pid, 'SIGCONT')));
    expect(await slotsAfterLoad()).toBe(0);
  });

  it('whose connections break again and again keeps no slot of the requests that ran', async () => {
    const cut = async () => {
      for (let i = 0; i < 20; i++) {
        await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        await pause(30);
      }
    };
    const [, during] = await without('connections cut', cut, () => undefined);
    expect(during.filter(({ status }) => status !== 200)).toEqual([]);
    expect(await slotsAfterLoad()).toBe(0);
  });
});
