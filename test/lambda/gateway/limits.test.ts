import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { InferencePolicy } from '../../../lib/policy/policy';
import { describeEachStore } from '../../store-servers';
import { policy } from '../policy';
import { type Received, RunningGateway } from '../running-gateway';
import { HEALTHY, type StubBackend, startBackend } from '../stub-backend';

const CHAT = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 100 };

describeEachStore('the limits of a gateway', (url) => {
  let [first, second]: StubBackend[] = [];
  let gateway: RunningGateway | undefined;
  let runs = 0;

  beforeEach(async () => {
    [first, second] = await Promise.all([startBackend(), startBackend()]);
    runs += 1;
  });
  afterEach(async () => {
    gateway?.close();
    await Promise.all([first!.close(), second!.close()]);
  });

  function start(changes: (names: readonly [string, string]) => Partial<InferencePolicy>) {
    const names = [`one-${runs}`, `two-${runs}`] as const;
    const settings = policy({ backends: names.map((name) => ({ name, retries: { max: 0 } })), ...changes(names) });
    gateway = new RunningGateway(url(), settings, { [names[0]]: first!, [names[1]]: second! });
    return (changed: object = {}, options: Parameters<RunningGateway['send']>[1] = {}): Promise<Received> =>
      gateway!.send({ ...CHAT, ...changed }, { tenant: `limited-${runs}`, ...options });
  }
  const errorOf = ({ text }: Received) => (JSON.parse(text) as { error: { code: string; message: string } }).error;
  const plan = { name: 'standard', requestsPerMinute: 600, tokensPerMinute: 60_000 };

  it('hold a model to its own, say so by its name, and tell the one with less left in the headers', async () => {
    const send = start(([a]) => ({
      plans: [{ ...plan, modelLimits: [{ model: 'llama', requestsPerMinute: 2 }] }],
      models: ['llama', 'small'].map((name) => ({ name, backends: [a] })),
    }));
    const one = await send();
    expect(one.headers).toMatchObject({ 'x-ratelimit-limit-requests': '2', 'x-ratelimit-remaining-requests': '1' });
    await send();
    const refused = await send();
    expect([refused.status, errorOf(refused)]).toMatchObject([
      429,
      { code: 'rate_limit_exceeded', message: expect.stringContaining('2 requests per minute for the model llama') },
    ]);
    expect((await send({ model: 'small' })).status).toBe(200);
  });

  it('spend no more than the month’s budget, at the price of what was used', async () => {
    const price = { inputPerMillionTokens: 1000, outputPerMillionTokens: 2000 };
    const send = start(([a]) => ({
      plans: [{ ...plan, moneyPerMonth: 0.23 }],
      models: [{ name: 'llama', backends: [a], price }],
    }));
    // Reserved are about 0.2, used 7 tokens of input and 5 of output: 0.017.
    const one = await send();
    expect(one.record.cost).toBeCloseTo(0.017, 9);
    const two = await send();
    expect(two.status).toBe(200);
    const refused = await send();
    expect([refused.status, errorOf(refused).code]).toEqual([429, 'insufficient_quota']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await send({ max_tokens: 50 })).status).toBe(200);
  });

  it('send a request on when its backend is short, and refuse it when all are', async () => {
    first!.behave = () => undefined;
    second!.behave = () => undefined;
    const send = start(([a, b]) => ({
      plans: [plan],
      backends: [a, b].map((name) => ({ name, capacityTokens: 150, retries: { max: 0 } })),
      models: [{ name: 'llama', backends: [a, b] }],
    }));
    const held = send({}, { hangUpAfterMs: 400 });
    await until(() => first!.calls.length === 1);
    const next = send({}, { hangUpAfterMs: 300 });
    await until(() => second!.calls.length === 1);
    const refused = await send();
    expect([refused.status, refused.headers['retry-after'], errorOf(refused).code]).toEqual([
      ...[429, '1', 'rate_limit_exceeded'],
    ]);
    expect(refused.record.refusedBy).toBe('capacity');
    await Promise.all([held, next]);
    first!.behave = HEALTHY;
    expect(await send()).toMatchObject({ status: 200, headers: { 'x-served-by': `one-${runs}` } });
  });

  it('let backends share the load by what they have in progress', async () => {
    const send = start(([a, b]) => ({
      plans: [plan],
      models: [{ name: 'llama', backends: [a, b], weights: { [a]: 1, [b]: 1 } }],
    }));
    first!.behave = () => undefined;
    second!.behave = () => undefined;
    const held = send({}, { hangUpAfterMs: 400 });
    await until(() => first!.calls.length + second!.calls.length === 1);
    const [busy, idle] = first!.calls.length === 1 ? [first!, second!] : [second!, first!];
    idle.behave = HEALTHY;
    for (let i = 0; i < 8; i++) expect((await send()).headers['x-fallback']).toBeUndefined();
    expect([busy.calls.length, idle.calls.length]).toEqual([1, 8]);
    await held;
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
