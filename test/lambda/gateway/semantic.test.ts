import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LocalIndex } from '../../../lambda/caching/local-index';
import type { SemanticPorts } from '../../../lambda/gateway/semantic-step';
import { StoreConnection } from '../../../lambda/store/connection';
import { ValkeyIndex } from '../../../lambda/store/valkey-index';
import { vectorCache } from '../../../lambda/store/vector-cache';
import type { SemanticCacheSettings } from '../../../lib/policy/cache-settings';
import { CacheScope, ModelKind } from '../../../lib/policy/model';
import type { InferencePolicy } from '../../../lib/policy/policy';
import { describeEachStore } from '../../store-servers';
import { policy } from '../policy';
import { RunningGateway } from '../running-gateway';
import { type SearchServer, startSearchServer } from '../search-server';
import { type Behaviour, failing, HEALTHY, type StubBackend, startBackend } from '../stub-backend';

/** A text says itself where it lies: `Hello @0.97` has the cosine 0.97 to `Hello @1`. */
const EMBEDDING: Behaviour = (response, { body }) => {
  const cosine = Number(/@(-?[\d.]+)/.exec(String(body.input))?.[1] ?? 1);
  const embedding = [cosine * 3, Math.sqrt(1 - cosine ** 2) * 3, 0];
  const answer = { object: 'list', data: [{ index: 0, embedding }], usage: { prompt_tokens: 4, total_tokens: 4 } };
  response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
};

/** Each answer is another. */
function counting(): Behaviour {
  let answers = 0;
  return (response, call) => {
    answers += 1;
    if (call.body.stream === true) {
      HEALTHY(response, call);
      return;
    }
    const answer = { choices: [{ index: 0, message: { content: `Answer ${answers}` } }], usage: { prompt_tokens: 7 } };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  };
}

const ask = (content: unknown, fields: object = {}) => ({
  model: 'llama',
  messages: [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content },
  ],
  ...fields,
});

const SYSTEM = { role: 'system', content: 'Be kind.' };
const USER = { role: 'user', content: 'B @1' };
const IMAGE = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };

type Kind = 'in this process' | 'in the store';

describe.each<Kind>(['in this process', 'in the store'])('with an index %s', (kind) => {
  describeEachStore('a chat', (url) => {
    let chat: StubBackend;
    let embedder: StubBackend;
    let spare: StubBackend;
    let search: SearchServer;
    let gateway: RunningGateway;
    let connection: StoreConnection;
    let index: LocalIndex;
    let runs = 0;

    beforeEach(async () => {
      [chat, embedder, spare, search] = await Promise.all([
        startBackend(counting()),
        startBackend(EMBEDDING),
        startBackend(EMBEDDING),
        startSearchServer(),
      ]);
    });
    afterEach(async () => {
      gateway.close();
      connection.close();
      await Promise.all([chat.close(), embedder.close(), spare.close(), search.close()]);
    });

    function start(settings: Partial<SemanticCacheSettings> = {}, changes: Partial<InferencePolicy> = {}) {
      runs += 1;
      const semantic = { embeddingModel: 'embedder', minimumSimilarity: 0.95, timeoutMs: 1000, ...settings };
      const resolved = policy({
        backends: [
          { name: 'chat', retries: { max: 0 } },
          { name: 'vectors', modelName: 'bge-m3', breaker: { minimumCalls: 2, openMs: 60_000 } },
          { name: 'spare' },
        ],
        models: [
          { name: 'llama', backends: ['chat'] },
          { name: 'mistral', backends: ['chat'] },
          { name: 'open', backends: ['chat'], cacheScope: CacheScope.SHARED },
          { name: 'embedder', kind: ModelKind.EMBEDDING, backends: ['vectors', 'spare'] },
        ],
        cache: { ttlSeconds: 60, semantic },
        ...changes,
      });
      connection = new StoreConnection({
        url: kind === 'in the store' ? search.url : url(),
        timeoutMs: semantic.timeoutMs,
        connectTimeoutMs: 1000,
        onError: () => undefined,
      });
      const trip = (commands: Parameters<StoreConnection['trip']>[0]) => connection.trip(commands);
      index = new LocalIndex(Date.now);
      const parts: SemanticPorts = {
        index: new ValkeyIndex(trip, semantic.timeoutMs, index, () => undefined),
        vectors: vectorCache(trip),
      };
      gateway = new RunningGateway(url(), resolved, { chat, vectors: embedder, spare }, parts);
      const tenant = `asker-${kind === 'in the store' ? 's' : 'p'}-${runs}`;
      return async (body: unknown, options: Parameters<RunningGateway['send']>[1] = {}) => {
        const answer = await gateway.send(body, { tenant, ...options });
        return { ...answer, state: answer.headers['x-cache'] };
      };
    }

    it('is answered with what was said to a question that means the same, at the price of one request', async () => {
      const send = start();
      const computed = await send(ask('How are you? @1'));
      expect(computed.state).toBe('miss');
      const before = Number((await send(ask('How are you? @1'))).headers['x-ratelimit-remaining-tokens']);
      const similar = await send(ask('How do you do? @0.97', { user: 'someone' }));
      expect(similar).toMatchObject({
        status: 200,
        text: computed.text,
        headers: { 'x-cache': 'semantic', 'x-served-by': 'chat', age: expect.stringMatching(/^[01]$/) },
        record: {
          cache: 'semantic',
          backend: 'chat',
          semantic: { outcome: 'hit', similarity: expect.closeTo(0.97, 5), embeddingTokens: 4 },
        },
      });
      expect(similar.record).not.toHaveProperty('inputTokens');
      // One trip to admit, one to read the answer, one to settle; what was reserved is given back in full.
      expect(similar.trips).toHaveLength(3);
      const after = Number((await send(ask('How are you? @1'))).headers['x-ratelimit-remaining-tokens']);
      expect(after).toBeGreaterThanOrEqual(before);
      expect(chat.calls).toHaveLength(1);
      expect(embedder.calls.map(({ body }) => body)).toEqual([
        { model: 'bge-m3', input: 'How are you? @1', encoding_format: 'float' },
        { model: 'bge-m3', input: 'How do you do? @0.97', encoding_format: 'float' },
      ]);
    });

    it('is answered from the threshold on, and computed below it', async () => {
      const send = start({ minimumSimilarity: 0.9 });
      await send(ask('One @1'));
      const states = [];
      for (const text of ['Two @0.9001', 'Three @0.9', 'Four @0.8999']) states.push((await send(ask(text))).state);
      expect(states).toEqual(['semantic', 'semantic', 'miss']);
      expect((await send(ask('Five @0.89'))).state).toBe('semantic');
    });

    it('is answered in kind, a stream by a stream', async () => {
      const send = start();
      await send(ask('One @1'));
      const streamed = await send(ask('Two @0.99', { stream: true }));
      expect(streamed.state).toBe('miss');
      const similar = await send(ask('Three @0.98', { stream: true }));
      expect([similar.state, similar.text]).toEqual(['semantic', streamed.text]);
      expect(similar.headers['content-type']).toBe('text/event-stream');
    });

    it.each<{ readonly by: string; readonly fields?: object; readonly options?: object }>([
      { by: 'another system prompt', fields: { messages: [{ role: 'system', content: 'Be rude.' }, USER] } },
      { by: 'no system prompt', fields: { messages: [USER] } },
      { by: 'a turn more', fields: { messages: [SYSTEM, USER, { role: 'assistant', content: 'C' }, USER] } },
      { by: 'a name', fields: { messages: [SYSTEM, { ...USER, name: 'n' }] } },
      { by: 'a last message that is not the user’s', fields: { messages: [SYSTEM, { ...USER, role: 'developer' }] } },
      { by: 'a message in parts', fields: ask([{ type: 'text', text: 'B @1' }]) },
      { by: 'an image', fields: ask([{ type: 'text', text: 'B @1' }, IMAGE]) },
      { by: 'another temperature', fields: { temperature: 0.1 } },
      { by: 'tools', fields: { tools: [{ type: 'function', function: { name: 'f' } }] } },
      { by: 'another model', fields: { model: 'mistral' } },
      { by: 'a stream', fields: { stream: true } },
      { by: 'an unknown field', fields: { guided_json: {} } },
      { by: 'another tenant', options: { tenant: 'someone-else' } },
      { by: 'no-cache', options: { headers: { 'cache-control': 'no-cache' } } },
      { by: 'an idempotency key', options: { headers: { 'idempotency-key': 'mine' } } },
    ])('is not answered with what was said to a request that differs by $by', async ({ fields = {}, options = {} }) => {
      const send = start();
      await send(ask('A @1'));
      const other = await send(ask('B @1', fields), options);
      expect(['miss', 'bypass']).toContain(other.state);
      expect(chat.calls).toHaveLength(2);
    });

    it('is looked up once for a text, and computed no more by those who ask in the same words', async () => {
      const send = start();
      await send(ask('A @1'));
      for (let i = 0; i < 3; i++) expect((await send(ask('B @0.99'))).state).toBe('semantic');
      await send(ask('A @1', { temperature: 0 }));
      expect(embedder.calls).toHaveLength(2);
      expect((await send(ask('B @0.99'))).record.semantic).not.toHaveProperty('embeddingTokens');
    });

    it('is shared by the tenants where the model says so', async () => {
      const send = start();
      // A store is shared by the tests of its kind, and this model by all of its tenants.
      const about = { model: 'open', seed: kind.length };
      await send(ask('A @1', about));
      expect((await send(ask('B @0.99', about), { tenant: 'another' })).state).toBe('semantic');
    });

    it('takes no answer that is too old for it, was replaced or is gone', async () => {
      const send = start({}, { cache: { ttlSeconds: 1, semantic: { embeddingModel: 'embedder', timeoutMs: 1000 } } });
      await send(ask('A @1'));
      await send(ask('A @1'), { headers: { 'cache-control': 'no-cache' } });
      const newest = await send(ask('B @0.99'));
      expect([newest.state, newest.text]).toEqual(['semantic', expect.stringContaining('Answer 2')]);
      expect((await send(ask('C @0.98'), { headers: { 'cache-control': 'max-age=0' } })).state).toBe('bypass');
      await new Promise((resolve) => setTimeout(resolve, 1050));
      expect((await send(ask('D @0.99'))).state).toBe('miss');
    });

    it('asks the next backend of the embedding model, and soon not the one that fails', async () => {
      const send = start();
      embedder.behave = failing(500);
      await send(ask('A @1'));
      expect((await send(ask('B @0.99'))).state).toBe('semantic');
      expect((await send(ask('C @0.98'))).state).toBe('semantic');
      expect([embedder.calls.length, spare.calls.length]).toEqual([2, 3]);
    });

    it('is computed where no vector is to be had, and tells why', async () => {
      const send = start();
      await send(ask('A @1'));
      for (const behave of [failing(503), failing(200, '{"data":[{"embedding":[0,0,0]}]}'), failing(200, 'none')]) {
        embedder.behave = spare.behave = behave;
        const answer = await send(ask(`B${Math.random()} @0.99`));
        expect(answer).toMatchObject({ status: 200, state: 'miss', record: { semantic: { outcome: 'unembedded' } } });
      }
      spare.behave = failing(400, '{"error":{"message":"too long"}}');
      const refused = await send(ask('B @0.99'));
      expect(refused.record.semantic!.reason).toMatch(/spare refuses the text \(400\)|no breaker/);
      expect(refused.status).toBe(200);
    });

    it('waits for a look-up no longer than it may, and soon not at all for what is always late', async () => {
      const send = start({ timeoutMs: 60 });
      await send(ask('A @1'));
      embedder.behave = spare.behave = () => undefined;
      const started = performance.now();
      const answer = await send(ask('B @0.99'));
      expect(performance.now() - started).toBeLessThan(400);
      expect(answer).toMatchObject({ status: 200, state: 'miss' });
      expect(['late', 'unembedded']).toContain(answer.record.semantic!.outcome);
      await embedder.brokenOff;
      await send(ask('C @0.99'));
      const calls = embedder.calls.length;
      expect((await send(ask('D @0.99'))).status).toBe(200);
      // Twice too late for a look-up: its breaker is open.
      expect(embedder.calls).toHaveLength(calls);
    });

    it('hangs up on the embedding model when its client does', async () => {
      const send = start({ timeoutMs: 5000 });
      let reached: () => void = () => undefined;
      const asked = new Promise<void>((resolve) => (reached = resolve));
      embedder.behave = () => reached();
      const sending = send(ask('A @1'), { hangUp: asked });
      await embedder.brokenOff;
      expect((await sending).record).toMatchObject({ hungUp: true, status: 499 });
      expect(spare.calls).toHaveLength(0);
    });

    it('is computed and stored where the index fails', async () => {
      const send = start();
      await send(ask('Something else'));
      connection.close();
      const answer = await send(ask('A @1'));
      expect(answer).toMatchObject({ status: 200, record: { storeLost: false, semantic: { outcome: 'failed' } } });
      expect((await send(ask('A @1'))).state).toBe('hit');
    });
  });
});

describe('a gateway whose policy looks up by meaning', () => {
  it('is not made without an index', () => {
    const cache = { semantic: { embeddingModel: 'embedder' } };
    expect(() => new RunningGateway('redis://127.0.0.1:1', policy({ cache }), {})).toThrow('cache.semantic needs');
  });
});
