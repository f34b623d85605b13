import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import type { CacheSettings } from '../../../lib/policy/cache-settings';
import { describeEachStore } from '../../store-servers';
import { policy } from '../policy';
import { type Received, RunningGateway } from '../running-gateway';
import { failing, HEALTHY, type StubBackend, startBackend } from '../stub-backend';

const CHAT = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] };
const MANY = 100;
/** Ten a second come back, fewer than a tenth of what is spent. */
const REQUESTS = 600;

describeEachStore('identical requests', (url) => {
  let backend: StubBackend;
  let instances: RunningGateway[] = [];
  let runs = 0;

  beforeEach(async () => {
    runs += 1;
    backend = await startBackend((...call) => setTimeout(() => HEALTHY(...call), 150));
  });
  afterEach(async () => {
    for (const instance of instances) instance.close();
    await backend.close();
  });

  /** Function instances with their own connections, as many as there are requests at once. */
  function start(count: number, cache: CacheSettings = {}) {
    const name = `backend-${runs}`;
    const settings = policy({
      plans: [{ name: 'standard', requestsPerMinute: REQUESTS, tokensPerMinute: 600_000, parallelRequests: MANY }],
      backends: [{ name, retries: { max: 0 } }],
      models: [{ name: 'llama', backends: [name] }],
      cache,
    });
    instances = Array.from({ length: count }, () => new RunningGateway(url(), settings, { [name]: backend }));
    return (i: number, body: object = CHAT, options: Parameters<RunningGateway['send']>[1] = {}) =>
      instances[i]!.send(body, { tenant: `flight-${runs}`, ...options });
  }
  const told = (answers: readonly Received[], name: 'x-cache') => answers.map(({ headers }) => headers[name]).sort();

  it.each([false, true])('cause one call, however many there are at once (streamed: %s)', async (stream) => {
    // All ask before it answers, even where the store has yet to warm up in this process.
    backend.behave = (...call) => setTimeout(() => HEALTHY(...call), 700);
    const send = start(MANY);
    const answers = await Promise.all(Array.from({ length: MANY }, (_, i) => send(i, { ...CHAT, stream })));
    expect(backend.calls).toHaveLength(1);
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(told(answers, 'x-cache')).toEqual([...Array<string>(MANY - 1).fill('hit'), 'miss']);
    // Each has paid one request, the first its tokens as well, and none holds a slot any more.
    const last = await send(0, { ...CHAT, seed: 1 });
    const left = Number(last.headers['x-ratelimit-remaining-requests']);
    expect(left).toBeGreaterThanOrEqual(REQUESTS - MANY - 1);
    expect(left).toBeLessThan(REQUESTS - MANY / 2);
    expect(answers.filter(({ record }) => record.waited).length).toBeGreaterThan(0);
  });

  it('wait for nobody where the policy says so, and not for a request whose answer is not stored', async () => {
    const send = start(6, { singleFlight: false });
    await Promise.all([0, 1, 2].map((i) => send(i)));
    expect(backend.calls).toHaveLength(3);
    for (const instance of instances) instance.close();
    const other = start(4);
    await Promise.all([0, 1].map((i) => other(i, { ...CHAT, seed: 2 }, { headers: { 'cache-control': 'no-store' } })));
    expect(backend.calls).toHaveLength(5);
  });

  it('compute by themselves, all at once, when the one that they wait for has failed', async () => {
    backend.behave = (...call) => setTimeout(() => failing(400)(...call), 100);
    const send = start(5);
    const first = send(0);
    await pause(40);
    const rest = [1, 2, 3, 4].map((i) => send(i));
    await first;
    // Slower than the longest pause between two looks: all have looked before the first of them has an answer to share.
    backend.behave = (...call) => setTimeout(() => HEALTHY(...call), 500);
    expect((await Promise.all(rest)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(backend.calls).toHaveLength(5);
  });

  it('stop to wait when the client hangs up, and leave no slot behind', async () => {
    backend.behave = (...call) => setTimeout(() => HEALTHY(...call), 600);
    const send = start(2);
    const first = send(0);
    await pause(50);
    const hungUp = instances[1]!.send(CHAT, { tenant: `flight-${runs}`, hangUpAfterMs: 100 });
    const { record } = await hungUp;
    expect(record).toMatchObject({ hungUp: true, status: 499, waited: true });
    expect((await first).status).toBe(200);
    expect(backend.calls).toHaveLength(1);
  });

  it('past the time of their answer get it at once, while one computes it anew behind it', async () => {
    const send = start(3, { ttlSeconds: 1, staleSeconds: 60, revalidateSeconds: 60 });
    const one = await send(0);
    await pause(1050);
    const started = performance.now();
    const [stale, other] = await Promise.all([send(1), send(2)]);
    expect(told([stale, other], 'x-cache')).toEqual(['stale', 'stale']);
    expect([stale.text, other.text]).toEqual([one.text, one.text]);
    expect(performance.now() - started).toBeLessThan(1000);
    expect(backend.calls).toHaveLength(2);
    expect([stale, other].map(({ record }) => record.revalidation).sort()).toEqual(['stored', undefined]);
    expect((await send(0)).headers['x-cache']).toBe('hit');
    const fresh = await send(0, CHAT, { headers: { 'cache-control': 'max-age=60' } });
    expect(fresh.headers['x-cache']).toBe('hit');
  });

  it('get the answer past its time even when computing it anew fails, and the failure is recorded', async () => {
    const send = start(1, { ttlSeconds: 1, staleSeconds: 60, revalidateSeconds: 60 });
    await send(0);
    await pause(1050);
    backend.behave = failing(500);
    const stale = await send(0);
    expect(stale).toMatchObject({ status: 200, headers: { 'x-cache': 'stale' } });
    expect(stale.record).toMatchObject({ revalidation: 'failed', status: 200, cache: 'stale' });
  });
});
