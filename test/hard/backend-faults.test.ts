import { afterAll, afterEach, beforeAll, expect, it, jest } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { policyFile } from '../end-to-end/policy';
import { type RunningPlatform, startPlatform } from '../end-to-end/processes';
import { startRealStore, type StoreServer } from '../store-servers';
import { ClientLoad, type Seen } from './client-load';
import { ModelServerProcess } from './model-server';
import { describeOnRealStore } from './real-store';
import { report } from './report';

/** How long each fault lasts. */
const FAULT_MS = Number(process.env.HARD_SECONDS ?? 0.9) * 1000;
const CLIENTS = 10;
const TOTAL_MS = 800;

const POLICY = {
  plans: [{ name: 'roomy', requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000, parallelRequests: 1000 }],
  tenants: [{ name: 'acme', plan: 'roomy' }],
  backends: [
    {
      name: 'primary',
      timeouts: { connectMs: 300, firstTokenMs: 300, totalMs: TOTAL_MS },
      breaker: { window: { kind: 'count', size: 20 }, minimumCalls: 6, openMs: 500, halfOpenProbes: 2 },
    },
    { name: 'backup' },
  ],
  models: [{ name: 'llama', backends: ['primary', 'backup'] }],
};

jest.setTimeout(FAULT_MS + 30_000);

describeOnRealStore('under load, a primary backend', () => {
  let store: StoreServer;
  let primary: ModelServerProcess;
  let backup: ModelServerProcess;
  let platform: RunningPlatform;
  let load: ClientLoad;

  beforeAll(async () => {
    [store, primary, backup] = await Promise.all([
      startRealStore(),
      ModelServerProcess.start(),
      ModelServerProcess.start(),
    ]);
    const backends = ['--backend', `primary=${primary.url}`, '--backend', `backup=${backup.url}`];
    platform = await startPlatform(['--policy', policyFile(POLICY), ...backends], { VALKEY_URL: store.url });
    await Promise.all([primary, backup].map((server) => server.behave({ kind: 'healthy', tokenMs: 2 })));
    load = new ClientLoad({ baseUrl: platform.baseUrl, key: platform.demoKey, model: 'llama' }, CLIENTS);
  });

  afterAll(async () => {
    await load.stop();
    await platform.process.end();
    await Promise.all([primary, backup].map((server) => server.kill()));
    await store.close();
  });

  afterEach(recovered);

  async function recovered(): Promise<void> {
    await load.until((latest) => {
      const last = latest.slice(-10);
      return last.length === 10 && last.every(({ servedBy, end }) => servedBy === 'primary' && end === 'complete');
    });
  }

  /** Lets a fault last under load, and returns what clients saw from its start until all was well again. */
  async function during(name: string, fault: () => unknown, heal: () => unknown, ms = FAULT_MS): Promise<Seen[]> {
    await recovered();
    const started = performance.now();
    await fault();
    await pause(ms);
    await heal();
    const healed = performance.now();
    await recovered();
    const seen = load.endedSince(started);
    const count = (holds: (one: Seen) => boolean) => seen.filter(holds).length;
    report(name, {
      requests: seen.length,
      'not 200': count(({ status }) => status !== 200),
      fallbacks: count(({ fallback }) => fallback !== undefined),
      'streams ended by an error event': count(({ end }) => end === 'broken'),
      wrong: count(({ end }) => end === 'wrong'),
      'slowest ms': Math.round(Math.max(...seen.map(({ milliseconds }) => milliseconds))),
      'served by the primary again after ms': Math.round(performance.now() - healed),
    });
    return seen;
  }

  /** What must hold whatever happens: every client gets an answer, and nothing of the fault but a stream's error event. */
  function expectServed(seen: readonly Seen[]): void {
    expect(seen.filter(({ status, end }) => status !== 200 || end === 'wrong')).toEqual([]);
    expect(seen.filter(({ end, stream }) => end === 'broken' && !stream)).toEqual([]);
    expect(seen.some(({ fallback }) => fallback === 'circuit_open')).toBe(true);
    expect(seen.filter(({ text }) => /secret|html/.test(text))).toEqual([]);
  }

  it('that is killed is replaced by the next, and takes over again once restarted', async () => {
    const { port } = primary;
    const restart = async () => {
      primary = await ModelServerProcess.start(port);
      await primary.behave({ kind: 'healthy', tokenMs: 2 });
    };
    expectServed(await during('killed', () => primary.kill(), restart));
  });

  it('that is stalled holds nobody longer than its time limits', async () => {
    const stop = () => primary.signal('SIGSTOP');
    const seen = await during('stalled', stop, () => primary.signal('SIGCONT'), FAULT_MS + 2 * TOTAL_MS);
    expectServed(seen);
    // One attempt and its retry at most, then the next backend.
    expect(Math.max(...seen.map(({ milliseconds }) => milliseconds))).toBeLessThan(2 * TOTAL_MS + 1000);
  });

  it.each([
    ['that answers garbage', { kind: 'garbage' }],
    ['that answers with 500', { kind: 'status', status: 500 }],
    ['that refuses the gateway', { kind: 'status', status: 401 }],
    ['that breaks off in the middle of its answers', { kind: 'cut' }],
  ] as const)('%s is replaced by the next', async (name, mode) => {
    const heal = () => primary.behave({ kind: 'healthy', tokenMs: 2 });
    const seen = await during(name, () => primary.behave(mode), heal);
    expectServed(seen);
    const broken = seen.filter(({ end }) => end === 'broken');
    if (mode.kind !== 'cut') expect(broken).toEqual([]);
  });
});
