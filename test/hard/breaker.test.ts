import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis as Valkey } from 'ioredis';
import type { InferencePolicy } from '../../lib/policy/policy';
import { startRealStore, type StoreServer } from '../store-servers';
import { type FunctionInstance, startInstances } from './function-instances';
import { ModelServerProcess } from './model-server';
import { describeOnRealStore } from './real-store';
import { report } from './report';
import type { Call, Reply } from './workers/function-instance';

const INSTANCES = Number(process.env.HARD_INSTANCES ?? 50);
const PROBES = 3;
const ROUNDS = 3;

/** Long for a store, short for a machine that starts fifty processes: what is tried is the breaker, not the loss. */
const STORE_TIMEOUT_MS = '10000';

const policy = (url: string, backupUrl: string): InferencePolicy => ({
  plans: [{ name: 'roomy', requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000, parallelRequests: 1000 }],
  tenants: [{ name: 'acme', plan: 'roomy' }],
  backends: [
    // All but the slow limit as preset: a window of 100 calls, judged from the 20th on, and 30 s open.
    { name: 'first', url, breaker: { halfOpenProbes: PROBES, slowFirstTokenMs: 30 } },
    { name: 'backup', url: backupUrl },
  ],
  models: [{ name: 'llama', backends: ['first', 'backup'] }],
});

const CALL: Call = {
  body: { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] },
  tenant: 'acme',
  plan: 'roomy',
};
const STREAM: Call = { ...CALL, body: { ...(CALL.body as object), stream: true } };

jest.setTimeout(60_000);

describeOnRealStore('a breaker that fifty processes share', () => {
  let store: StoreServer;
  let client: Valkey;
  let first: ModelServerProcess;
  let backup: ModelServerProcess;
  let instances: FunctionInstance[] = [];

  beforeAll(async () => {
    [store, first, backup] = await Promise.all([
      startRealStore(),
      ModelServerProcess.start(),
      ModelServerProcess.start(),
    ]);
    client = new Valkey(store.url);
    instances = await startInstances(INSTANCES, policy(first.url, backup.url), store.url, { STORE_TIMEOUT_MS });
    // Each has its connections from here on.
    await everyone(CALL);
  });

  afterAll(async () => {
    await Promise.all([...instances, first, backup].map((process) => process.kill()));
    client.disconnect();
    await store.close();
  });

  beforeEach(async () => {
    await first.behave({ kind: 'healthy' });
    await client.del('breaker:{first}');
  });

  const everyone = (call: Call): Promise<Reply[]> => Promise.all(instances.map((instance) => instance.ask(call)));
  const status = async () => (await client.hget('breaker:{first}', 'status')) ?? 'closed';

  /** Calls one after the other, each by another process. */
  async function inARow(times: number, call: Call = CALL): Promise<Reply[]> {
    const replies: Reply[] = [];
    for (let i = 0; i < times; i++) replies.push(await instances[i % instances.length]!.ask(call));
    return replies;
  }

  async function open(): Promise<void> {
    await first.behave({ kind: 'status', status: 500 });
    await inARow(25);
    expect(await status()).toBe('open');
    await passOpenTime();
  }

  /** As if the breaker had been open for long enough. */
  async function passOpenTime(): Promise<void> {
    await client.hset('breaker:{first}', 'until', '0');
  }

  it('lets exactly as many probes through as it says, whoever asks, and closes when they succeed', async () => {
    const sent: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await open();
      await Promise.all([first.behave({ kind: 'hold' }), backup.behave({ kind: 'healthy' })]);
      const replies = everyone(CALL);
      await until(async () => (await backup.calls()) >= INSTANCES - PROBES);
      // Time for one probe too many to arrive.
      await pause(100);
      sent.push(await first.behave({ kind: 'healthy' }));
      const servedBy = (await replies).map(({ headers }) => headers['x-served-by']);
      expect(servedBy.filter((name) => name === 'first')).toHaveLength(PROBES);
      expect(await status()).toBe('closed');
    }
    report('probes of a half-open breaker', { processes: INSTANCES, rounds: ROUNDS, sent });
    expect(sent).toEqual(Array.from({ length: ROUNDS }, () => PROBES));
  });

  it('opens again when its probes fail, and no client hears of it', async () => {
    await open();
    await first.behave({ kind: 'status', status: 503 });
    const replies = await everyone(CALL);
    const probes = await first.calls();
    expect(replies.map((reply) => reply.status)).toEqual(instances.map(() => 200));
    report('failing probes', { sent: probes, status: await status() });
    expect([probes, await status()]).toEqual([PROBES, 'open']);
  });

  it('gets the permit of a probe back whose client hangs up', async () => {
    await open();
    await first.behave({ kind: 'hold' });
    await Promise.all(instances.slice(0, PROBES).map((instance) => instance.ask({ ...CALL, hangUpAfterMs: 100 })));
    expect(await status()).toBe('half_open');
    await first.behave({ kind: 'healthy' });
    const replies = await inARow(PROBES);
    expect(replies.map(({ headers }) => headers['x-served-by'])).toEqual(replies.map(() => 'first'));
    expect(await status()).toBe('closed');
  });

  it('opens on twenty-five answers of 500 in a row, for all', async () => {
    await first.behave({ kind: 'status', status: 500 });
    const replies = await inARow(25);
    const calls = await first.behave({ kind: 'healthy' });
    expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => 200));
    expect(await status()).toBe('open');
    const others = await everyone(CALL);
    expect(new Set(others.map(({ headers }) => headers['x-fallback']))).toEqual(new Set(['circuit_open']));
    const later = await first.calls();
    report('500 in a row', { requests: replies.length, calls, callsWhileOpen: later, status: await status() });
    expect(later).toBe(0);
  });

  describe('is not opened', () => {
    it.each([404, 400])('by answers of %d, which reach the client as such', async (code) => {
      await first.behave({ kind: 'status', status: code });
      const replies = await inARow(40);
      expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => code));
      expect(replies[0]!.text).not.toContain('secret');
      report(`${code} in a row`, { requests: replies.length, calls: await first.calls(), status: await status() });
      expect([await first.calls(), await status()]).toEqual([40, 'closed']);
    });

    it.each([
      ['whole answer', CALL],
      ['stream', STREAM],
    ])('by clients that hang up on a %s', async (_, call) => {
      await first.behave({ kind: 'hold' });
      const replies = await Promise.all(
        Array.from({ length: 40 }, (_, i) => instances[i % INSTANCES]!.ask({ ...call, hangUpAfterMs: 600 })),
      );
      expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => 0));
      const calls = await first.calls();
      report('hang-ups', { requests: replies.length, calls, status: await status() });
      expect(calls).toBeGreaterThanOrEqual(20);
      expect(await status()).toBe('closed');
    });
  });

  it('opens when every first token is slow', async () => {
    await first.behave({ kind: 'healthy', firstTokenMs: 60 });
    const replies = await inARow(20, STREAM);
    expect(replies.map(({ headers }) => headers['x-served-by'])).toEqual(replies.map(() => 'first'));
    report('slow first tokens', { requests: replies.length, calls: await first.calls(), status: await status() });
    expect(await status()).toBe('open');
    await passOpenTime();
    await first.behave({ kind: 'healthy' });
    await inARow(PROBES, STREAM);
    expect(await status()).toBe('closed');
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('it did not come to pass within 10 s');
    await pause(10);
  }
}
