import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import OpenAI from 'openai';
import { hasRealStore, startRealStore } from '../store-servers';
import { OTHER_KEY, policyFile, ROOMY_KEY, SINGLE_KEY, TIGHT_KEY } from './policy';
import { type ModelServer, type RunningPlatform, startModelServer, startPlatform } from './processes';

interface Surroundings {
  readonly platform: RunningPlatform;
  /** Serves the backend "stoppable", for a test to stop. */
  readonly stoppable: ModelServer;
  end(): Promise<void>;
}

async function embedded(): Promise<Surroundings> {
  const stoppable = await startModelServer('stoppable');
  const platform = await startPlatform(['--policy', policyFile(), '--backend', `stoppable=${stoppable.url}`]);
  return { platform, stoppable, end: async () => void (await platform.process.end()) };
}

async function real(): Promise<Surroundings> {
  const store = await startRealStore();
  const names = ['primary', 'secondary', 'stoppable', 'embedder'];
  const servers = await Promise.all(names.map(startModelServer));
  const backends = names.flatMap((name, i) => ['--backend', `${name}=${servers[i]!.url}`]);
  const platform = await startPlatform(['--policy', policyFile(), ...backends], { VALKEY_URL: store.url });
  return {
    platform,
    stoppable: servers[2]!,
    end: async () => {
      await platform.process.end();
      await Promise.all(servers.map((server) => server.process.end()));
      await store.close();
    },
  };
}

const suites: [string, () => Promise<Surroundings>][] = [['embedded store and stubs', embedded]];
if (hasRealStore) suites.push(['a real store and separate model servers', real]);

it('has a real store to run on, where one is required', () => {
  if (process.env.REQUIRE_REAL_STORE === '1') expect(hasRealStore).toBe(true);
});

describe.each(suites)('an official OpenAI client on %s', (_, surroundings) => {
  let at: Surroundings;
  let client: OpenAI;

  const clientOf = (apiKey: string) => new OpenAI({ baseURL: at.platform.baseUrl, apiKey, maxRetries: 0 });
  const say = (content: string, model = 'assistant') => ({ model, messages: [{ role: 'user' as const, content }] });

  beforeAll(async () => {
    at = await surroundings();
    client = clientOf(ROOMY_KEY);
  }, 20_000);

  afterAll(() => at.end(), 20_000);

  it('chats', async () => {
    const answer = await client.chat.completions.create(say('Good morning'));
    expect(answer.choices[0]?.message.content).toBe('This is primary, a model stub. You said: Good morning');
    expect(answer.usage?.total_tokens).toBe(answer.usage!.prompt_tokens + answer.usage!.completion_tokens);
  });

  it('chats in a stream, piece by piece, with usage where it asks for it', async () => {
    const stream = await client.chat.completions.create({
      ...say('Good evening'),
      stream: true,
      stream_options: { include_usage: true },
    });
    const pieces: string[] = [];
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      pieces.push(chunk.choices[0]?.delta.content ?? '');
      usage = chunk.usage ?? usage;
    }
    expect(pieces.join('')).toBe('This is primary, a model stub. You said: Good evening');
    expect(pieces.length).toBeGreaterThan(5);
    expect(usage?.completion_tokens).toBe(10);
  });

  it('sees no usage in a stream where it does not ask for it', async () => {
    const stream = await client.chat.completions.create({ ...say('Plain stream'), stream: true });
    for await (const chunk of stream) {
      expect(chunk.usage ?? undefined).toBeUndefined();
      expect(chunk.choices).toHaveLength(1);
    }
  });

  it('chats with a stand-in for Bedrock, and no call leaves the machine', async () => {
    const answer = await client.chat.completions.create(say('Good night', 'hosted'));
    expect(answer.choices[0]?.message.content).toBe('This is nova, a model stub. You said: Good night');
  });

  it('completes', async () => {
    const answer = await client.completions.create({ model: 'assistant', prompt: 'Once upon a time', max_tokens: 4 });
    expect(answer.choices[0]).toMatchObject({ text: 'This is primary, a', finish_reason: 'length' });
  });

  it('embeds, in the encoding that it asks for by default', async () => {
    const answer = await client.embeddings.create({ model: 'embedding', input: ['one', 'two', 'one'] });
    const [one, two, again] = answer.data.map(({ embedding }) => embedding);
    expect(one).toHaveLength(1024);
    expect(Math.hypot(...one!)).toBeCloseTo(1, 5);
    expect(again).toEqual(one);
    expect(two).not.toEqual(one);
    const floats = await client.embeddings.create({ model: 'embedding', input: 'one', encoding_format: 'float' });
    expect(floats.data[0]?.embedding[7]).toBeCloseTo(one![7]!, 6);
  });

  it('calls a service, whose answer is kept as a model’s is', async () => {
    const ask = () => client.post('/services/retrieval', { body: { query: 'a question' } }).asResponse();
    const first = await ask();
    expect(await first.json()).toEqual({ service: 'searcher', request: { query: 'a question' } });
    expect((await ask()).headers.get('x-cache')).toBe('hit');
    await expect(client.post('/services/none', { body: {} })).rejects.toMatchObject({ code: 'model_not_found' });
    const list = client.post('/services/retrieval', { body: [] });
    await expect(list).rejects.toMatchObject({ status: 400, type: 'invalid_request_error' });
  });

  it('lists the models of the policy, and no service', async () => {
    const names = (await client.models.list()).data.map(({ id }) => id);
    expect(names).toEqual(['assistant', 'resilient', 'embedding', 'hosted']);
    expect((await client.models.retrieve('embedding')).id).toBe('embedding');
  });

  it('gets a typed error for a wrong key', async () => {
    const error = await clientOf('sk-of-nobody')
      .chat.completions.create(say('x'))
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' });
  });

  it('gets a typed error for an unknown model', async () => {
    const error = await client.chat.completions.create(say('x', 'no-such-model')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
  });

  it('gets a typed error for a malformed body', async () => {
    const wrong = { model: 'assistant', messages: 'no list' } as never;
    const error = await client.chat.completions.create(wrong).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect((error as Error).message).toContain('messages');
    const broken = await fetch(`${at.platform.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ROOMY_KEY}`, 'content-type': 'application/json' },
      body: '{"model":',
    });
    expect([broken.status, await broken.json()]).toMatchObject([400, { error: { type: 'invalid_request_error' } }]);
  });

  it('gets a typed error for a spent limit, and is served again after the time that it names', async () => {
    const tight = clientOf(TIGHT_KEY);
    // A thousand words of one letter: few bytes and so a low estimate, and 1000 tokens once settled.
    const long = (last: string) => ({ ...say(`${'a '.repeat(1000)}${last}`), max_tokens: 5 });
    await tight.chat.completions.create(long('one'));
    const error = await tight.chat.completions.create(long('two')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    const { status, code, headers } = error as InstanceType<typeof OpenAI.RateLimitError>;
    expect([status, code]).toEqual([429, 'rate_limit_exceeded']);
    const seconds = Number(headers?.get('retry-after'));
    expect(seconds).toBeGreaterThanOrEqual(1);
    expect(seconds).toBeLessThanOrEqual(10);
    await delay(seconds * 1000);
    await expect(tight.chat.completions.create(long('two'))).resolves.toHaveProperty('object', 'chat.completion');
  }, 20_000);

  it('is answered from the cache when it asks again, and no backend is called', async () => {
    const ask = () => client.chat.completions.create(say('A question asked twice')).withResponse();
    const first = await ask();
    const calls = await at.platform.callsOf('primary');
    const second = await ask();
    expect(first.response.headers.get('x-cache')).toBe('miss');
    expect(second.response.headers.get('x-cache')).toBe('hit');
    expect(second.data).toEqual(first.data);
    expect(await at.platform.callsOf('primary')).toBe(calls);
  });

  it('is never answered from the cache of another tenant', async () => {
    const question = say('A question of two tenants');
    await client.chat.completions.create(question);
    const { response } = await clientOf(OTHER_KEY).chat.completions.create(question).withResponse();
    expect(response.headers.get('x-cache')).toBe('miss');
  });

  it('is served by the next backend of the chain once the first has stopped', async () => {
    const before = await client.chat.completions.create(say('Before', 'resilient')).withResponse();
    expect(before.response.headers.get('x-served-by')).toBe('stoppable');
    await at.stoppable.process.end();
    const after = await client.chat.completions.create(say('After', 'resilient')).withResponse();
    expect(after.data.choices[0]?.message.content).toContain('This is secondary');
    expect(after.response.headers.get('x-served-by')).toBe('secondary');
    expect(after.response.headers.get('x-fallback')).toBeTruthy();
    const stream = await client.chat.completions.create({ ...say('After, streamed', 'resilient'), stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toContain('This is secondary');
  });

  it('may send the next of its parallel requests once it has hung up on one', async () => {
    const single = clientOf(SINGLE_KEY);
    const stream = await single.chat.completions.create({ ...say(`${'word '.repeat(40)}hang up`), stream: true });
    for await (const _chunk of stream) break;
    const started = performance.now();
    let error: unknown;
    do {
      error = await single.chat.completions.create(say('After the hang-up')).then(
        () => undefined,
        (e: unknown) => e,
      );
    } while (error instanceof OpenAI.RateLimitError && performance.now() - started < 300);
    // The answer that nobody listens to would have taken longer than this.
    expect(error).toBeUndefined();
  });

  it('can be replaced by the curl line that the run prints', async () => {
    const { stdout } = await promisify(execFile)('sh', ['-c', at.platform.curl]);
    expect(JSON.parse(stdout)).toMatchObject({ object: 'chat.completion', model: 'assistant' });
  });
});
