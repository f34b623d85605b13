import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Redis as Valkey } from 'ioredis';
import { CacheScope, ModelKind } from '../../../lib/policy/model';
import type { InferencePolicy } from '../../../lib/policy/policy';
import { describeEachStore } from '../../store-servers';
import { policy } from '../policy';
import { RunningGateway } from '../running-gateway';
import { type Behaviour, chunk, event, type StubBackend, startBackend } from '../stub-backend';

const CHAT = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] };

/** Answers with so much text, whole or in a stream. */
function saying(text: string): Behaviour {
  return (response, { body }) => {
    if (body.stream !== true) {
      const answer = { object: 'chat.completion', choices: [{ index: 0, message: { content: text } }] };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
      return;
    }
    response.setHeader('content-type', 'text/event-stream').write(chunk(text));
    response.end(event('[DONE]'));
  };
}

describeEachStore('a stored answer', (url) => {
  let backend: StubBackend;
  let gateway: RunningGateway;
  let client: Valkey;
  let runs = 0;

  beforeEach(async () => {
    backend = await startBackend();
    client = new Valkey(url());
  });
  afterEach(async () => {
    client.disconnect();
    gateway.close();
    await backend.close();
  });

  function start(changes: Partial<InferencePolicy> = {}) {
    runs += 1;
    const tenant = `kept-${runs}`;
    gateway = new RunningGateway(url(), policy({ cache: {}, ...changes }), { first: backend });
    return (body: unknown, options: Parameters<RunningGateway['send']>[1] = {}) =>
      gateway.send(body, { tenant, ...options });
  }

  /** The key and the body of each of the tenant's entries of a kind. */
  async function stored(kind: 'cache' | 'once'): Promise<{ key: string; body: string }[]> {
    const keys = await client.keys(`{kept-${runs}}:${kind}:*`);
    return Promise.all(keys.map(async (key) => ({ key, body: (await client.hget(key, 'body')) ?? '' })));
  }

  it('takes less room from a size on, and comes back byte for byte, streamed or not', async () => {
    const text = 'To be, or not to be: 是或不是. '.repeat(400);
    backend.behave = saying(text);
    const send = start();
    for (const stream of [false, true]) {
      const headers = { 'idempotency-key': `key-${stream}` };
      const computed = await send({ ...CHAT, stream }, { headers });
      const hit = await send({ ...CHAT, stream });
      expect([hit.headers['x-cache'], hit.text === computed.text]).toEqual(['hit', true]);
      const again = await send({ ...CHAT, stream }, { headers });
      expect([again.headers['idempotent-replayed'], again.text === computed.text]).toEqual(['true', true]);
    }
    const bodies = [...(await stored('cache')), ...(await stored('once'))];
    expect(bodies).toHaveLength(4);
    for (const { body } of bodies) expect(body.length).toBeLessThan(1000);
  });

  it('serves past its time when the backends fail, compressed or not', async () => {
    backend.behave = saying('Some words, many times. '.repeat(400));
    const send = start({ cache: { ttlSeconds: 1 } });
    const fresh = await send(CHAT);
    await new Promise((resolve) => setTimeout(resolve, 1050));
    backend.behave = (response) => response.writeHead(500).end();
    const stale = await send(CHAT);
    expect(stale.headers['x-cache']).toBe('stale');
    expect(stale.text).toBe(fresh.text);
  });

  it('that is damaged is a miss, is charged as one and is replaced', async () => {
    backend.behave = saying('Some words, many times. '.repeat(400));
    const send = start();
    await send(CHAT);
    const [{ key, body }] = (await stored('cache')) as [{ key: string; body: string }];
    await client.hset(key, 'body', body.slice(0, -9));
    const computed = await send(CHAT);
    expect([computed.status, computed.headers['x-cache'], backend.calls.length]).toEqual([200, 'miss', 2]);
    expect((await send(CHAT)).headers['x-cache']).toBe('hit');
    await client.hset(key, 'body', body.slice(0, -9));
    const nothing = await send(CHAT, { headers: { 'cache-control': 'only-if-cached' } });
    expect([nothing.status, backend.calls.length]).toEqual([504, 2]);

    const headers = { 'idempotency-key': 'damaged' };
    await send({ ...CHAT, seed: 1 }, { headers });
    const [once] = (await stored('once')) as [{ key: string; body: string }];
    await client.hset(once.key, 'body', '\u0001b9:');
    expect(await send({ ...CHAT, seed: 1 }, { headers })).toMatchObject({ status: 200 });
    expect(backend.calls).toHaveLength(4);
  });

  it('is no larger than the policy says, streamed or not, in the cache and under an idempotency key', async () => {
    const send = start({ cache: { maxEntryBytes: 2048 } });
    for (const stream of [false, true]) {
      const ask = (seed: number) =>
        send({ ...CHAT, stream, seed }, { headers: { 'idempotency-key': `k${seed}${stream}` } });
      backend.behave = saying('a'.repeat(1800));
      await ask(1);
      backend.behave = saying('a'.repeat(2100));
      await ask(2);
      const kept = await Promise.all([1, 2].map((seed) => send({ ...CHAT, stream, seed })));
      expect(kept.map(({ headers }) => headers['x-cache'])).toEqual(['hit', 'miss']);
      expect((await ask(2)).headers).not.toHaveProperty('idempotent-replayed');
    }
  });

  it('may be larger than the default where the policy says so', async () => {
    const send = start({ cache: { maxEntryBytes: 4 * 1024 * 1024 } });
    backend.behave = saying('b'.repeat(2 * 1024 * 1024));
    await send({ ...CHAT, stream: true });
    expect((await send({ ...CHAT, stream: true })).headers['x-cache']).toBe('hit');
  });

  it('is shared by the tenants that may use a model which says so, and by no other', async () => {
    const changes: Partial<InferencePolicy> = {
      plans: [
        { name: 'standard', requestsPerMinute: 600, tokensPerMinute: 60_000 },
        { name: 'small', requestsPerMinute: 600, tokensPerMinute: 60_000, models: ['own'] },
      ],
      models: [
        { name: 'open', backends: ['first'], cacheScope: CacheScope.SHARED },
        { name: 'own', backends: ['first'] },
        { name: 'embedder', kind: ModelKind.EMBEDDING, backends: ['first'] },
      ],
    };
    const send = start(changes);
    const states = async (model: string) => {
      const one = await send({ ...CHAT, model });
      const other = await send({ ...CHAT, model }, { tenant: `guest-${runs}` });
      return [one.headers['x-cache'], other.headers['x-cache']];
    };
    expect(await states('open')).toEqual(['miss', 'hit']);
    expect(await states('own')).toEqual(['miss', 'miss']);
    const refused = await send({ ...CHAT, model: 'open' }, { plan: 'small' });
    expect(refused.status).toBe(404);
  });
});
