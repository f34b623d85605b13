import { subscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { InferencePolicy } from '../../../lib/policy/policy';
import { describeEachStore } from '../../store-servers';
import { policy } from '../policy';
import { RunningGateway } from '../running-gateway';
import { chunk, event, failing, HEALTHY, type StubBackend, startBackend } from '../stub-backend';

const CHAT = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] };
const QUICK = { connectMs: 200, firstTokenMs: 150, totalMs: 400 };

/** Connections that this process has opened as a client. */
const opened: unknown[] = [];
subscribe('net.client.socket', (message) => opened.push(message));

describeEachStore('the gateway', (url) => {
  let first: StubBackend;
  let second: StubBackend;
  let gateway: RunningGateway;
  let runs = 0;

  beforeEach(async () => {
    [first, second] = await Promise.all([startBackend(), startBackend()]);
  });
  afterEach(async () => {
    gateway.close();
    await Promise.all([first.close(), second.close()]);
  });

  /** Fresh names in each test: all share one store. */
  function start(changes: Partial<InferencePolicy> = {}, backends: InferencePolicy['backends'][number][] = []) {
    runs += 1;
    const [a, b] = [`first-${runs}`, `second-${runs}`];
    const settings = (i: number) => ({ timeouts: QUICK, retries: { max: 0 }, ...backends[i] });
    gateway = new RunningGateway(
      url(),
      policy({
        backends: [
          { ...settings(0), name: a },
          { ...settings(1), name: b },
        ],
        models: [{ name: 'llama', backends: [a, b] }],
        ...changes,
      }),
      { [a]: first, [b]: second },
    );
    const tenant = `tenant-${runs}`;
    return (body: unknown, options: Parameters<RunningGateway['send']>[1] = {}) =>
      gateway.send(body, { tenant, ...options });
  }

  it('answers with one trip before the backend and one after, and books the true usage', async () => {
    const send = start();
    const answer = await send(
      { ...CHAT, max_tokens: 100 },
      { headers: { Authorization: 'Bearer sk-secret', Cookie: 'a' } },
    );
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({ choices: [{ message: { content: 'Hi!' } }] });
    expect(answer.trips).toHaveLength(2);
    expect(answer.headers).toMatchObject({
      'x-request-id': 'request-1',
      'x-served-by': `first-${runs}`,
      'x-cache': 'bypass',
      'x-ratelimit-limit-tokens': '60000',
      'x-ratelimit-remaining-tokens': String(60_000 - 102),
    });
    expect(answer.record).toMatchObject({ inputTokens: 7, outputTokens: 5, storeLost: false });
    const { headers } = first.calls[0]!;
    expect([headers.authorization, headers.cookie]).toEqual([undefined, undefined]);
    const next = await send({ ...CHAT, max_tokens: 1 });
    expect(Number(next.headers['x-ratelimit-remaining-tokens'])).toBeGreaterThanOrEqual(60_000 - 12 - 3);
  });

  it('serves the holder of a token until it expires, and logs who by a pseudonym', async () => {
    const send = start();
    const now = Date.now();
    const served = await send(CHAT, { expiresAt: String(now + 60_000), principal: '0123456789abcdef' });
    expect([served.status, served.record.principal]).toEqual([200, '0123456789abcdef']);
    for (const expiresAt of [String(now - 1), 'soon', '']) {
      const refused = await send(CHAT, { expiresAt });
      expect([refused.status, JSON.parse(refused.text)]).toEqual([
        401,
        {
          error: {
            message: 'This token has expired. Send a new one.',
            type: 'invalid_request_error',
            param: null,
            code: 'token_expired',
          },
        },
      ]);
      expect(refused.trips).toEqual([]);
    }
  });

  it('opens no connection for a request when one is kept, to the backend or to the store', async () => {
    const send = start({ cache: {} });
    await send(CHAT);
    const before = opened.length;
    expect(before).toBeGreaterThan(1);
    for (let i = 0; i < 5; i++) await send({ ...CHAT, seed: i, stream: i % 2 === 0 });
    expect(first.calls).toHaveLength(6);
    expect(opened.length).toBe(before);
  });

  it('knows no model beyond those of the plan', async () => {
    const { plans } = policy({});
    const limited = { ...plans[0]!, models: ['other'] };
    const a = `first-${runs + 1}`;
    const models = ['llama', 'other'].map((name) => ({ name, backends: [a] }));
    const send = start({ plans: [limited], models });
    const refused = await send(CHAT);
    expect([refused.status, JSON.parse(refused.text)]).toMatchObject([404, { error: { code: 'model_not_found' } }]);
    expect(await send({ ...CHAT, model: 'other' })).toMatchObject({ status: 200 });
    const list = await send(undefined, { method: 'GET', path: '/v1/models' });
    expect((JSON.parse(list.text) as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual(['other']);
  });

  it('computes once under an idempotency key, and gives its answer again, streamed or not', async () => {
    const send = start({ cache: { ttlSeconds: 60 } });
    for (const stream of [false, true]) {
      const headers = { 'Idempotency-Key': `once-${stream}` };
      const before = first.calls.length;
      const one = await send({ ...CHAT, stream }, { headers });
      const again = await send({ ...CHAT, stream }, { headers });
      expect(first.calls.length - before).toBe(1);
      expect(again).toMatchObject({ status: 200, text: one.text, headers: { 'idempotent-replayed': 'true' } });
      expect(again.trips).toHaveLength(1);
      expect(one.headers).not.toHaveProperty('idempotent-replayed');
    }
    expect(await send(CHAT)).toMatchObject({ headers: { 'x-cache': 'hit' } });
  });

  it('refuses an idempotency key with another request, but not that of another tenant', async () => {
    const send = start();
    const headers = { 'idempotency-key': 'reused' };
    await send(CHAT, { headers });
    const other = await send({ ...CHAT, temperature: 1 }, { headers });
    expect([other.status, JSON.parse(other.text)]).toMatchObject([409, { error: { code: 'idempotency_key_reused' } }]);
    expect(other.headers['x-ratelimit-remaining-requests']).toBeDefined();
    expect(await send({ ...CHAT, temperature: 1 }, { headers, tenant: 'someone-else' })).toMatchObject({ status: 200 });
    const bad = await send(CHAT, { headers: { 'idempotency-key': 'two words' } });
    expect(bad.status).toBe(400);
  });

  it('refuses a request while its twin is computed, and lets it run once the twin has failed', async () => {
    const send = start();
    const headers = { 'idempotency-key': 'twins' };
    const twins = await Promise.all([send(CHAT, { headers }), send(CHAT, { headers })]);
    expect(twins.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(twins.find(({ status }) => status === 409)!.headers['retry-after']).toBe('1');

    const failed = { headers: { 'idempotency-key': 'fails' } };
    first.behave = second.behave = failing(500);
    expect((await send(CHAT, failed)).status).toBe(503);
    first.behave = second.behave = HEALTHY;
    expect((await send(CHAT, failed)).status).toBe(200);
  });

  it('streams, asks for the usage, and leaves out its event unless the client asked too', async () => {
    const send = start();
    const plain = await send({ ...CHAT, stream: true });
    expect(plain.text).toBe(chunk('Hi') + chunk('!') + event('[DONE]'));
    expect(first.calls[0]!.body.stream_options).toEqual({ include_usage: true });
    expect(plain.record).toMatchObject({ inputTokens: 7, outputTokens: 5 });
    expect(plain.headers['content-type']).toBe('text/event-stream');
    const asked = await send({ ...CHAT, stream: true, stream_options: { include_usage: true } });
    expect(asked.text).toContain('"usage"');
  });

  it('replays a repeated request from the cache: one trip and no backend; streamed and whole apart', async () => {
    const send = start({ cache: {} });
    const computed = await send(CHAT);
    expect(computed.headers['x-cache']).toBe('miss');
    const hit = await send({ messages: CHAT.messages, model: 'llama' });
    expect(hit.headers).toMatchObject({ 'x-cache': 'hit', age: '0', 'x-served-by': `first-${runs}` });
    expect(hit.text).toBe(computed.text);
    expect(hit.trips).toHaveLength(1);
    const streamed = await send({ ...CHAT, stream: true });
    const replayed = await send({ ...CHAT, stream: true });
    expect([streamed.headers['x-cache'], replayed.headers['x-cache']]).toEqual(['miss', 'hit']);
    expect(replayed.text).toBe(streamed.text);
    expect((await send(CHAT, { tenant: `other-${runs}` })).headers['x-cache']).toBe('miss');
    expect((await send(CHAT, { headers: { 'cache-control': 'no-cache' } })).headers['x-cache']).toBe('bypass');
    const other = { ...CHAT, temperature: 1 };
    expect((await send(other, { headers: { 'Cache-Control': 'only-if-cached' } })).status).toBe(504);
    await send(other, { headers: { 'cache-control': 'no-store' } });
    expect((await send(other)).headers['x-cache']).toBe('miss');
  });

  it.each([
    ['an error page', failing(500), 'backend_error'],
    ['garbage', failing(200, 'garbage'), 'backend_error'],
    ['a refusal of the gateway itself', failing(401), 'backend_error'],
    ['no time', failing(429), 'backend_busy'],
  ])('hides %s behind the next backend', async (_, behave, reason) => {
    first.behave = behave;
    const answer = await start()(CHAT);
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'x-served-by': `second-${runs}`, 'x-fallback': reason },
    });
  });

  it('hides a backend that stalls or breaks off before its first event', async () => {
    const send = start();
    first.behave = () => undefined;
    expect((await send({ ...CHAT, stream: true })).headers['x-fallback']).toBe('timeout');
    first.behave = (response) => response.destroy();
    expect((await send({ ...CHAT, stream: true })).headers['x-fallback']).toBe('backend_error');
    first.behave = (response) => {
      response.setHeader('content-type', 'text/event-stream').end(event({ error: { message: 'out of memory' } }));
    };
    expect((await send({ ...CHAT, stream: true })).headers['x-fallback']).toBe('backend_error');
    await first.close();
    expect((await send(CHAT)).headers['x-fallback']).toBe('backend_error');
  });

  it('tries the same backend again within the retry budget', async () => {
    const send = start({}, [{ name: 'first', retries: { max: 2, budgetRatio: 0.1 } }]);
    first.behave = (response, call) => (first.calls.length === 1 ? failing(503) : HEALTHY)(response, call);
    expect((await send(CHAT)).record).toMatchObject({ retries: 1, status: 200, backend: `first-${runs}` });
    first.behave = failing(503);
    await send(CHAT);
    expect(first.calls).toHaveLength(3);
  });

  it('passes a complaint about the request on, in OpenAI’s shape, and asks no other backend', async () => {
    const send = start();
    first.behave = failing(400, JSON.stringify({ object: 'error', message: 'too long', code: 400 }));
    const refused = await send(CHAT);
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.text)).toEqual({
      error: { message: 'too long', type: 'invalid_request_error', param: null, code: null },
    });
    first.behave = failing(422);
    expect((await send(CHAT)).text).not.toContain('secret');
    expect(second.calls).toHaveLength(0);
  });

  it('answers 503 when no backend can, 504 when the last was too slow, and never their errors', async () => {
    const send = start();
    first.behave = second.behave = failing(500);
    const failed = await send(CHAT);
    expect([failed.status, (JSON.parse(failed.text) as { error: { code: string } }).error.code]).toEqual([
      503,
      'backend_unavailable',
    ]);
    second.behave = () => undefined;
    expect((await send(CHAT)).status).toBe(504);
    expect((await send(CHAT)).record.refusedBy).toBeUndefined();
  });

  it('serves the answer past its time, then the declared one, when all else fails', async () => {
    const models = (text?: string) => [
      { name: 'llama', backends: [`first-${runs + 1}`], ...(text && { degradedAnswer: text }) },
    ];
    let send = start({ cache: { ttlSeconds: 1 }, models: models('Later, please.') });
    const fresh = await send(CHAT);
    await new Promise((resolve) => setTimeout(resolve, 1050));
    first.behave = failing(500);
    const stale = await send(CHAT);
    expect(stale.headers).toMatchObject({ 'x-cache': 'stale', age: '1', 'x-fallback': 'backend_error' });
    expect(stale.text).toBe(fresh.text);
    const degraded = await send({ ...CHAT, n: 2 });
    expect(degraded.headers).toMatchObject({ 'x-fallback': 'degraded' });
    expect(degraded.text).toContain('Later, please.');
    expect((await send({ ...CHAT, stream: true })).text).toMatch(/Later, please\.[^]*"stop"[^]*\[DONE\]\n\n$/);
    gateway.close();
    send = start({ models: models() });
    expect((await send(CHAT)).status).toBe(503);
  });

  it('opens the breaker of a failing backend, calls it no more, and closes it by probes', async () => {
    const breaker = { minimumCalls: 3, openMs: 300, halfOpenProbes: 1 };
    const send = start({}, [{ name: 'first', breaker }]);
    first.behave = failing(500);
    const failed = [await send(CHAT), await send(CHAT), await send(CHAT)];
    expect(failed.map(({ changes }) => changes)).toEqual([
      [],
      [],
      [expect.objectContaining({ backend: `first-${runs}`, from: 'closed', to: 'open', reason: 'calls' })],
    ]);
    expect(first.calls).toHaveLength(3);
    expect((await send(CHAT)).headers['x-fallback']).toBe('circuit_open');
    expect(first.calls).toHaveLength(3);
    first.behave = HEALTHY;
    await new Promise((resolve) => setTimeout(resolve, 320));
    const probe = await send(CHAT);
    expect(probe).toMatchObject({ headers: { 'x-served-by': `first-${runs}` } });
    expect(probe.trips).toHaveLength(3);
    expect(probe.record.transitions).toEqual([
      { backend: `first-${runs}`, from: 'open', to: 'half_open' },
      { backend: `first-${runs}`, from: 'half_open', to: 'closed' },
    ]);
  });

  it('does not open the breaker for what the client did wrong', async () => {
    const send = start({}, [{ name: 'first', breaker: { minimumCalls: 2 } }]);
    for (const status of [400, 404, 422, 400]) {
      first.behave = failing(status);
      expect((await send(CHAT)).status).toBe(status);
    }
    first.behave = HEALTHY;
    expect((await send(CHAT)).headers['x-served-by']).toBe(`first-${runs}`);
  });

  it('ends a stream that breaks off with an error that clients raise, and stores nothing of it', async () => {
    const send = start({ cache: {} });
    first.behave = (response) => {
      response.setHeader('content-type', 'text/event-stream').write(chunk('Half an ans'), () => response.destroy());
    };
    const broken = await send({ ...CHAT, stream: true });
    expect(broken.text).toMatch(/Half an ans[^]*data: \{"error":\{"message":".*"backend_unavailable"\}\}\n\n$/);
    expect(broken.record.outputTokens).toBe(4);
    first.behave = HEALTHY;
    expect((await send({ ...CHAT, stream: true })).headers['x-cache']).toBe('miss');
  });

  it('stops the backend when the client hangs up, charges what was seen, and frees the slot', async () => {
    const plans = [{ name: 'standard', requestsPerMinute: 60, tokensPerMinute: 60_000, parallelRequests: 1 }];
    const send = start({ plans, cache: {} });
    first.behave = (response) => {
      response.setHeader('content-type', 'text/event-stream').write(chunk('1234567'));
    };
    const answer = await send({ ...CHAT, stream: true }, { onBody: (_, hangUp) => hangUp() });
    await first.brokenOff;
    expect(answer.record).toMatchObject({ hungUp: true, outputTokens: 2 });
    first.behave = HEALTHY;
    expect((await send(CHAT)).status).toBe(200);
  });

  it('refuses a spent limit with a retry-after that holds when obeyed', async () => {
    const plans = [{ name: 'standard', requestsPerMinute: 120, tokensPerMinute: 60_000 }];
    const send = start({ plans });
    let refused = await send(CHAT);
    while (refused.status === 200) refused = await send(CHAT);
    expect(refused.status).toBe(429);
    expect(refused.headers).toMatchObject({ 'retry-after': '1', 'x-ratelimit-remaining-requests': '0' });
    expect(JSON.parse(refused.text)).toMatchObject({ error: { type: 'requests', code: 'rate_limit_exceeded' } });
    expect(refused.trips).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(refused.headers['retry-after'])));
    expect((await send(CHAT)).status).toBe(200);
  });

  describe('refuses before any trip', () => {
    it.each([
      ['no JSON', '{', 400],
      ['no object', '[]', 400],
      ['an unknown model', { ...CHAT, model: 'none' }, 404],
      ['no messages', { model: 'llama', messages: [] }, 400],
      ['a message without a role', { model: 'llama', messages: [{}] }, 400],
      ['a wrong type', { ...CHAT, stream: 'yes' }, 400],
      ['too many choices', { ...CHAT, n: 1000 }, 400],
      ['more tokens than the plan allows', { ...CHAT, max_tokens: 9000 }, 400],
    ])('%s', async (_, body, status) => {
      const answer = await start()(body);
      expect([answer.status, answer.trips.length]).toEqual([status, 0]);
      expect(JSON.parse(answer.text)).toHaveProperty('error.message');
    });
  });
});
