import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { BreakerWindowKind } from '../../../lib/policy/backend';
import type { InferencePolicy } from '../../../lib/policy/policy';
import { describeEachStore } from '../../store-servers';
import { policy } from '../policy';
import { type Received, RunningGateway } from '../running-gateway';
import { failing, type StubBackend, startBackend } from '../stub-backend';

const CHAT = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 100 };

describeEachStore('background work in the gateway', (url) => {
  let backend: StubBackend;
  let gateway: RunningGateway | undefined;
  let runs = 0;

  beforeEach(async () => {
    backend = await startBackend();
    runs += 1;
  });
  afterEach(async () => {
    gateway?.close();
    await backend.close();
  });

  function start(changes: Partial<InferencePolicy> = {}, model: Partial<InferencePolicy['models'][number]> = {}) {
    const name = `patient-${runs}`;
    const settings = policy({
      backends: [{ name, retries: { max: 0 }, breaker: { window: { kind: BreakerWindowKind.COUNT, size: 2 } } }],
      models: [{ name: 'llama', backends: [name], ...model }],
      ...changes,
    });
    gateway = new RunningGateway(url(), settings, { [name]: backend });
    return (priority: 'interactive' | 'batch', body: object = {}): Promise<Received> =>
      gateway!.send({ ...CHAT, ...body }, { tenant: `patient-${runs}`, priority });
  }

  it('takes the same two trips, and leaves interactive requests what is above its ceiling', async () => {
    const send = start({ plans: [{ name: 'standard', requestsPerMinute: 4, tokensPerMinute: 60_000 }] });
    const first = await send('batch');
    expect(first).toMatchObject({ status: 200, record: { priority: 'batch' } });
    expect(first.trips).toHaveLength(2);
    expect((await send('batch')).status).toBe(200);
    const refused = await send('batch');
    expect(refused).toMatchObject({ status: 429, record: { refusedBy: 'requests' } });
    // Four a minute, of which 0.7 are 2.8: the third fits once a fifth of one is earned back.
    expect(refused.record.retryAfterMs).toBeGreaterThan(2000);
    expect(refused.record.retryAfterMs).toBeLessThanOrEqual(3000);
    expect((await send('interactive')).status).toBe(200);
    expect((await send('interactive')).status).toBe(200);
    expect((await send('interactive')).status).toBe(429);
  });

  it('is told that no backend answers, and gets no answer in its place', async () => {
    backend.behave = failing(500);
    const send = start({ cache: { ttlSeconds: 1 } }, { degradedAnswer: 'Please try again later.' });
    expect(await send('interactive')).toMatchObject({ status: 200, headers: { 'x-fallback': 'degraded' } });
    const failed = await send('batch');
    expect(failed).toMatchObject({ status: 503, record: { failedCalls: 1, errorCode: 'backend_unavailable' } });
    const unasked = await send('batch');
    expect(unasked).toMatchObject({ status: 503, record: { failedCalls: 0 } });
    // The breaker is open, and says until when.
    expect(unasked.record.retryAfterMs).toBeGreaterThan(25_000);
    expect(unasked.record.retryAfterMs).toBeLessThanOrEqual(30_000);
  });
});
