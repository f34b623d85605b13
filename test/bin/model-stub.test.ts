import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import OpenAI from 'openai';
import { type ModelStub, startModelStub } from '../../bin/start/model-stub';
import { ModelKind } from '../../lib/policy';

describe('model stub', () => {
  let stub: ModelStub;
  let client: OpenAI;
  let failing: ReadonlyMap<number, number>;

  beforeEach(async () => {
    failing = new Map();
    stub = await startModelStub({ name: 'llama-gpu', failWith: (call) => failing.get(call) });
    client = new OpenAI({ baseURL: `${stub.url}/v1`, apiKey: 'none', maxRetries: 0 });
  });

  afterEach(() => stub.close());

  const say = (content: string) => ({ model: 'm', messages: [{ role: 'user' as const, content }] });

  it('says who it is and what it heard, always in the same words', async () => {
    const [first, second] = [
      await client.chat.completions.create(say('Hello there')),
      await client.chat.completions.create(say('Hello there')),
    ];
    expect(first.choices).toEqual(second.choices);
    expect(first.choices[0]?.message.content).toBe('This is llama-gpu, a model stub. You said: Hello there');
    expect(first.usage).toEqual({ prompt_tokens: 2, completion_tokens: 10, total_tokens: 12 });
  });

  it('hears content in parts, and answers a choice as often as asked', async () => {
    const answer = await client.chat.completions.create({
      model: 'm',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'in parts' }] }],
      n: 3,
    });
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(answer.choices[2]?.message.content).toContain('You said: in parts');
    expect(answer.usage?.completion_tokens).toBe(30);
  });

  it('streams the same answer, and its usage where asked', async () => {
    const stream = await client.chat.completions.create({
      ...say('Hello there'),
      stream: true,
      stream_options: { include_usage: true },
      n: 2,
    });
    const texts = ['', ''];
    const finished: (string | null)[] = [];
    let usage: unknown;
    for await (const chunk of stream) {
      for (const choice of chunk.choices) {
        texts[choice.index] += choice.delta.content ?? '';
        if (choice.finish_reason) finished.push(choice.finish_reason);
      }
      usage = chunk.usage ?? usage;
    }
    expect(texts).toEqual(Array(2).fill('This is llama-gpu, a model stub. You said: Hello there'));
    expect(finished).toEqual(['stop', 'stop']);
    expect(usage).toEqual({ prompt_tokens: 2, completion_tokens: 20, total_tokens: 22 });
  });

  it('completes a prompt up to the tokens that were asked for, in one piece and streamed', async () => {
    const request = { model: 'm', prompt: 'Once', max_tokens: 2 };
    const whole = await client.completions.create(request);
    expect(whole.choices[0]).toMatchObject({ text: 'This is', finish_reason: 'length' });
    let streamed = '';
    for await (const chunk of await client.completions.create({ ...request, stream: true })) {
      streamed += chunk.choices[0]?.text ?? '';
    }
    expect(streamed).toBe('This is');
  });

  it('embeds texts of nearly the same words nearby, and others far away', async () => {
    const input = [
      'How do I reset my password?',
      'how do I reset my PASSWORD',
      'How can I reset my password?',
      'Good day',
    ];
    const { data } = await client.embeddings.create({ model: 'm', input, encoding_format: 'float' });
    const [asked, same, near, far] = data.map(({ embedding }) => embedding);
    const cosine = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    expect(cosine(asked!, same!)).toBeCloseTo(1, 5);
    expect(cosine(asked!, near!)).toBeGreaterThan(0.7);
    expect(Math.abs(cosine(asked!, far!))).toBeLessThan(0.3);
  });

  it('embeds equal text equally, at any length and in both encodings', async () => {
    const request = { model: 'm', input: ['a', 'b'], dimensions: 10 };
    const packed = await client.embeddings.create(request);
    const plain = await client.embeddings.create({ ...request, encoding_format: 'float' });
    expect(packed.data[0]?.embedding).toHaveLength(10);
    plain.data[0]!.embedding.forEach((value, i) => expect(packed.data[0]!.embedding[i]).toBeCloseTo(value, 6));
    expect(plain.data[1]?.embedding).not.toEqual(plain.data[0]?.embedding);
    const tokens = await client.embeddings.create({ model: 'm', input: [[1, 2], [3]], dimensions: 3 });
    expect(tokens.data).toHaveLength(2);
    expect((await client.embeddings.create({ model: 'm', input: [1, 2], dimensions: 3 })).data).toHaveLength(1);
  });

  it('fails the calls that it was told to fail, and counts them', async () => {
    failing = new Map([[2, 503]]);
    await client.chat.completions.create(say('one'));
    await expect(client.chat.completions.create(say('two'))).rejects.toMatchObject({ status: 503 });
    await client.chat.completions.create(say('three'));
    expect(stub.calls()).toBe(3);
    expect((await client.models.list()).data).toHaveLength(1);
    const health: unknown = await (await fetch(`${stub.url}/health`)).json();
    expect(health).toEqual({ status: 'ok', backend: 'llama-gpu', calls: 3 });
  });

  it('echoes what a service is asked', async () => {
    const answer = await fetch(stub.url, { method: 'POST', body: '{"query":"x"}' });
    expect(await answer.json()).toEqual({ service: 'llama-gpu', request: { query: 'x' } });
  });

  it.each([
    [ModelKind.CHAT, { messages: [{ role: 'user', content: 'x' }] }, 'chat.completion'],
    [ModelKind.CHAT, { prompt: 'x' }, 'text_completion'],
    [ModelKind.COMPLETION, { prompt: 'x' }, 'text_completion'],
    [ModelKind.EMBEDDING, { input: 'x' }, 'list'],
    [ModelKind.SERVICE, { input: 'x' }, undefined],
  ])('serves a %s at one path of its own', async (kind, body, object) => {
    const own = await startModelStub({ name: 'own', only: { path: '/own/path', kind } });
    const post = (path: string) => fetch(own.url + path, { method: 'POST', body: JSON.stringify(body) });
    expect(((await (await post('/own/path')).json()) as { object?: string }).object).toBe(object);
    expect((await post('/v1/chat/completions')).status).toBe(404);
    await own.close();
  });

  it('takes the time that it was given', async () => {
    const slow = await startModelStub({ name: 'slow', pace: { firstTokenMs: 50, tokenMs: 5 } });
    const startedAt = performance.now();
    await new OpenAI({ baseURL: `${slow.url}/v1`, apiKey: 'none' }).chat.completions.create(say('x'));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(49);
    await slow.close();
  });

  it('refuses what is no request', async () => {
    const post = (path: string, body: string) => fetch(stub.url + path, { method: 'POST', body });
    expect((await post('/v1/chat/completions', 'no json')).status).toBe(400);
    expect((await post('/v1/chat/completions', '3')).status).toBe(400);
    expect((await post('/v1/images', '{}')).status).toBe(404);
  });
});
