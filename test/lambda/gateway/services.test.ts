import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ModelKind } from '../../../lib/policy/model';
import type { InferencePolicy } from '../../../lib/policy/policy';
import { startEmbeddedStore } from '../../../bin/start/embedded-store';
import { policy } from '../policy';
import { RunningGateway } from '../running-gateway';
import { type Behaviour, event, failing, type StubBackend, startBackend } from '../stub-backend';

const json =
  (answer: unknown): Behaviour =>
  (response) =>
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));

const FOUND = { hits: [{ id: 7, score: 0.5 }] };

describe('a service behind the gateway', () => {
  let first: StubBackend;
  let second: StubBackend;
  let store: Awaited<ReturnType<typeof startEmbeddedStore>>;
  let gateway: RunningGateway | undefined;

  beforeEach(async () => {
    [first, second, store] = await Promise.all([
      startBackend(json(FOUND)),
      startBackend(json(['second'])),
      startEmbeddedStore(),
    ]);
  });
  afterEach(async () => {
    gateway?.close();
    await Promise.all([first.close(), second.close(), store.close()]);
  });

  function start(changes: Partial<InferencePolicy> = {}, backend: Partial<InferencePolicy['backends'][number]> = {}) {
    const started = new RunningGateway(
      store.url,
      policy({
        backends: [{ name: 'first', retries: { max: 0 }, ...backend }, { name: 'second' }],
        models: [
          { name: 'retrieval', kind: ModelKind.SERVICE, backends: ['first', 'second'] },
          { name: 'other', kind: ModelKind.SERVICE, backends: ['first'] },
          { name: 'llama', backends: ['first'] },
          { name: 'embedder', kind: ModelKind.EMBEDDING, backends: ['first'] },
        ],
        ...changes,
      }),
      { first, second },
    );
    gateway = started;
    return (body: unknown, options: Parameters<RunningGateway['send']>[1] = {}) =>
      started.send(body, { path: '/v1/services/retrieval', ...options });
  }

  it('gets the body as it was sent, at / or at the backend’s own path', async () => {
    const paths: (string | undefined)[] = [];
    first.behave = (response, { request, body }) => {
      paths.push(request.url);
      json({ ...FOUND, got: body })(response, { request, body });
    };
    const question = { query: 'x', stream: 'no', messages: 3, model: 'mine', user: null };
    const answer = await start()(question);
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { ...FOUND, got: question }]);
    expect(answer.record).toMatchObject({ endpoint: 'service', model: 'retrieval', backend: 'first' });
    gateway!.close();
    await start({}, { path: '/search' })(question);
    expect(paths).toEqual(['/', '/search']);
  });

  it('may be called by its escaped name', async () => {
    expect(await start()({}, { path: '/v1/services/%72etrieval' })).toMatchObject({ status: 200 });
  });

  it('may answer a list, and any object, even one with an error in it', async () => {
    const send = start();
    first.behave = json([{ index: 0 }]);
    expect((await send({})).text).toBe('[{"index":0}]');
    first.behave = json({ error: 'none found' });
    expect(await send({ again: 1 })).toMatchObject({ status: 200, text: '{"error":"none found"}' });
  });

  it.each([
    ['garbage', failing(200, 'garbage')],
    ['a bare word', json('word')],
    ['an error page', failing(502)],
  ])('is replaced by the next backend where it answers %s', async (_, behave) => {
    first.behave = behave;
    const answer = await start()({});
    expect(answer).toMatchObject({ status: 200, text: '["second"]', headers: { 'x-fallback': 'backend_error' } });
  });

  it('has its complaint about the request passed on', async () => {
    first.behave = failing(422, '{"detail":"query is missing"}');
    const answer = await start()({});
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([422, { error: { message: 'query is missing' } }]);
    expect(second.calls).toHaveLength(0);
  });

  it('is charged by the bytes of its body, or by the usage that it reports', async () => {
    const send = start();
    const body = { query: 'x'.repeat(340) };
    expect((await send(body)).record).toMatchObject({ inputTokens: 101, outputTokens: 0 });
    first.behave = json({ ...FOUND, usage: { prompt_tokens: 7, total_tokens: 9 } });
    expect((await send(body)).record).toMatchObject({ inputTokens: 7, outputTokens: 2 });
    const tooLarge = await send({ query: 'x'.repeat(40_000) });
    expect([tooLarge.status, tooLarge.trips.length]).toEqual([400, 0]);
  });

  it('is answered from the cache where all of the body is the same, and the service too', async () => {
    const send = start({ cache: {} });
    const body = { query: 'x', metadata: { year: 2026 } };
    expect((await send(body)).headers['x-cache']).toBe('miss');
    expect((await send({ metadata: { year: 2026 }, query: 'x' })).headers['x-cache']).toBe('hit');
    expect((await send({ ...body, metadata: { year: 2025 } })).headers['x-cache']).toBe('miss');
    expect((await send({ ...body, user: null })).headers['x-cache']).toBe('miss');
    expect((await send(body, { path: '/v1/services/other' })).headers['x-cache']).toBe('miss');
  });

  it('is asked again each time where it says that its answers are not to be stored, streamed or not', async () => {
    const send = start({ cache: {} });
    const headers = { 'cache-control': 'private, no-store' };
    first.behave = (response) => response.writeHead(200, { 'content-type': 'application/json', ...headers }).end('[1]');
    const answers = [await send({ query: 'x' }), await send({ query: 'x' })];
    first.behave = (response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream', ...headers }).end(event([1]));
    const streamed = { query: 'x', stream: true };
    answers.push(await send(streamed), await send(streamed));
    expect(answers.map((answer) => [answer.status, answer.headers['x-cache']])).toEqual(Array(4).fill([200, 'miss']));
    expect(first.calls).toHaveLength(4);
  });

  it('is computed once under an idempotency key, which holds for one service', async () => {
    const send = start();
    const headers = { 'idempotency-key': 'one' };
    await send({ query: 'x' }, { headers });
    expect(await send({ query: 'x' }, { headers })).toMatchObject({ headers: { 'idempotent-replayed': 'true' } });
    expect((await send({ query: 'x' }, { headers, path: '/v1/services/other' })).status).toBe(409);
    expect(first.calls).toHaveLength(1);
  });

  it('may stream what it likes, and is whole when it closes', async () => {
    const send = start({ cache: {} });
    const events = 'event: hit\ndata: first\n\nevent: hit\ndata: second\n\n';
    first.behave = (response) => response.setHeader('content-type', 'text/event-stream').end(events);
    const streamed = await send({ query: 'x', stream: true });
    expect(streamed).toMatchObject({ text: events, headers: { 'content-type': 'text/event-stream' } });
    expect(first.calls[0]!.body).toEqual({ query: 'x', stream: true });
    expect(await send({ query: 'x', stream: true })).toMatchObject({
      text: events,
      headers: { 'x-cache': 'hit', 'content-type': 'text/event-stream' },
    });
  });

  it('may answer whole where a stream was asked for', async () => {
    const send = start({ cache: {} });
    for (const cache of ['miss', 'hit']) {
      expect(await send({ stream: true })).toMatchObject({
        text: JSON.stringify(FOUND),
        headers: { 'content-type': 'application/json', 'x-cache': cache },
      });
    }
  });

  it('that breaks off in a stream is told so, and nothing of it is kept', async () => {
    const send = start({ cache: {} });
    first.behave = (response) => {
      response.setHeader('content-type', 'text/event-stream').write(event('part'), () => response.destroy());
    };
    expect((await send({ stream: true })).text).toMatch(
      /^data: part\n\ndata: \{"error":.*"backend_unavailable"\}\}\n\n$/,
    );
    expect((await send({ stream: true })).headers['x-cache']).toBe('miss');
  });

  it('is late after firstTokenMs, streamed or not', async () => {
    first.behave = () => undefined;
    const send = start({}, { timeouts: { firstTokenMs: 50 } });
    expect((await send({})).headers['x-fallback']).toBe('timeout');
  });

  it('is named by the path alone, and by its plan', async () => {
    const { plans } = policy({});
    const send = start({ plans: [{ ...plans[0]!, models: ['other', 'llama'] }] });
    const codes = async (path: string) => {
      const { status, text } = await send({ model: 'other' }, { path });
      return [status, (JSON.parse(text) as { error?: { code: string } }).error?.code];
    };
    expect(await codes('/v1/services/other')).toEqual([200, undefined]);
    expect(await codes('/v1/services/retrieval')).toEqual([404, 'model_not_found']);
    expect(await codes('/v1/services/llama')).toEqual([404, 'model_not_found']);
    expect(await codes('/v1/services/')).toEqual([404, 'unknown_url']);
    expect(await codes('/')).toEqual([404, 'unknown_url']);
    const chat = await send(
      { model: 'other', messages: [{ role: 'user', content: 'x' }] },
      { path: '/v1/chat/completions' },
    );
    expect([chat.status, chat.text]).toEqual([400, expect.stringContaining('`other` does not serve chat')]);
  });

  it('is no model in the list of models', async () => {
    const send = start();
    const list = await send(undefined, { method: 'GET', path: '/v1/models' });
    expect((JSON.parse(list.text) as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual([
      'llama',
      'embedder',
    ]);
    expect((await send(undefined, { method: 'GET', path: '/v1/models/retrieval' })).status).toBe(404);
  });
});

describe('a backend with one path of its own', () => {
  it('takes embeddings there', async () => {
    const answer = { object: 'list', data: [], usage: { prompt_tokens: 3, total_tokens: 3 } };
    let path: string | undefined;
    const stub = await startBackend((response, call) => {
      path = call.request.url;
      json(answer)(response, call);
    });
    const store = await startEmbeddedStore();
    const models = [{ name: 'embedder', kind: ModelKind.EMBEDDING, backends: ['first'] }];
    const resolved = policy({ backends: [{ name: 'first', path: '/embed' }], models });
    const gateway = new RunningGateway(store.url, resolved, { first: { url: `${stub.url}/tei` } });
    const { status } = await gateway.send({ model: 'embedder', input: 'x' }, { path: '/v1/embeddings' });
    expect([status, path]).toEqual([200, '/tei/embed']);
    gateway.close();
    await Promise.all([stub.close(), store.close()]);
  });
});
