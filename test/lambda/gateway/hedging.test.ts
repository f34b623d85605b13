import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type EmbeddedStore, startEmbeddedStore } from '../../../bin/start/embedded-store';
import { policy } from '../policy';
import { RunningGateway } from '../running-gateway';
import { chunk, event, failing, HEALTHY, type StubBackend, startBackend } from '../stub-backend';

const CHAT = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] };
const STALLED = () => undefined;
const DELAY_MS = 60;

/** Later than any answer that counts as usual, on a busy machine too. */
const LATE_MS = 600;

/** Chats of 20 calls, after which the gateway knows how long the first backend takes. */
const MEASURED = 20;

describe('a model with hedging', () => {
  let store: EmbeddedStore;
  let first: StubBackend;
  let second: StubBackend;
  let gateway: RunningGateway;
  let runs = 0;

  beforeAll(async () => {
    store = await startEmbeddedStore();
  });
  afterAll(() => store.close());

  beforeEach(async () => {
    [first, second] = await Promise.all([startBackend(), startBackend()]);
    runs += 1;
    const [a, b] = [`first-${runs}`, `second-${runs}`];
    const timeouts = { connectMs: 500, firstTokenMs: 1500, totalMs: 2000 };
    const hedging = { percentile: 0.95, minimumDelayMs: DELAY_MS };
    gateway = new RunningGateway(
      store.url,
      policy({
        backends: [a, b].map((name) => ({ name, timeouts, retries: { max: 0 } })),
        models: [
          { name: 'llama', backends: [a, b], hedging },
          { name: 'plain', backends: [a, b] },
        ],
      }),
      { [a]: first, [b]: second },
    );
  });
  afterEach(async () => {
    gateway.close();
    await Promise.all([first.close(), second.close()]);
  });

  const send = (body: object = {}, options: Parameters<RunningGateway['send']>[1] = {}) =>
    gateway.send({ ...CHAT, ...body }, { tenant: `tenant-${runs}`, ...options });
  const measure = async (body: object = {}) => {
    for (let i = 0; i < MEASURED; i++) await send(body);
  };

  it.each([true, false])('is answered by the second backend where the first is late (streamed: %s)', async (stream) => {
    await measure({ stream });
    first.behave = STALLED;
    const answer = await send({ stream });
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'x-served-by': `second-${runs}`, 'x-fallback': 'hedged' },
      record: { hedged: true, backend: `second-${runs}`, fallback: 'hedged', inputTokens: 7, outputTokens: 5 },
    });
    // What the first burnt until it was stopped is not charged: the answer's own usage is, once.
    expect(answer.trips).toHaveLength(2);
    await first.brokenOff;
    expect(answer.record.durationMs).toBeGreaterThanOrEqual(DELAY_MS - 1);
    expect(answer.record.durationMs).toBeLessThan(1000);
    expect(second.calls).toHaveLength(1);
  });

  it('is answered by the first where it is sooner after all, and stops the second', async () => {
    await measure({ stream: true });
    first.behave = (...call) => void setTimeout(() => HEALTHY(...call), LATE_MS);
    second.behave = STALLED;
    const answer = await send({ stream: true });
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'x-served-by': `first-${runs}` },
      record: { hedged: true },
    });
    expect(answer.headers).not.toHaveProperty('x-fallback');
    await second.brokenOff;
  });

  it('lets a stream go on that has begun, however long it pauses', async () => {
    await measure({ stream: true });
    first.behave = (response) => {
      response.setHeader('content-type', 'text/event-stream').write(chunk('Begun'));
      setTimeout(() => response.end(event('[DONE]')), LATE_MS);
    };
    const answer = await send({ stream: true });
    expect(answer).toMatchObject({ headers: { 'x-served-by': `first-${runs}` }, record: { hedged: false } });
    expect([answer.text, second.calls]).toEqual([chunk('Begun') + event('[DONE]'), []]);
  });

  it('does not take headers without an event for a beginning', async () => {
    await measure({ stream: true });
    first.behave = (response) => void response.setHeader('content-type', 'text/event-stream').write(': wait\n\n');
    const answer = await send({ stream: true });
    expect(answer.headers).toMatchObject({ 'x-served-by': `second-${runs}`, 'x-fallback': 'hedged' });
    await first.brokenOff;
  });

  it('hides a second backend that fails behind the first', async () => {
    await measure();
    first.behave = (...call) => void setTimeout(() => HEALTHY(...call), LATE_MS);
    second.behave = failing(500);
    expect(await send()).toMatchObject({
      status: 200,
      headers: { 'x-served-by': `first-${runs}` },
      record: { hedged: true },
    });
    expect(second.calls).toHaveLength(1);
  });

  it('stops both backends when the client hangs up', async () => {
    await measure({ stream: true });
    let hangUp: () => void = () => undefined;
    first.behave = second.behave = STALLED;
    const answer = send({ stream: true }, { onStart: (hang) => (hangUp = hang) });
    setTimeout(() => hangUp(), LATE_MS);
    expect((await answer).record).toMatchObject({ hungUp: true, hedged: true, status: 499 });
    await Promise.all([first.brokenOff, second.brokenOff]);
  });

  it('asks no second backend before 20 calls of the kind were measured, nor for a model without hedging', async () => {
    await measure({ stream: true });
    first.behave = (...call) => void setTimeout(() => HEALTHY(...call), LATE_MS);
    expect((await send({ stream: false })).record.hedged).toBe(false);
    expect((await send({ model: 'plain', stream: true })).record.hedged).toBe(false);
    expect(second.calls).toHaveLength(0);
  });
});
