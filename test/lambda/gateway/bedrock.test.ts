import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startEmbeddedStore } from '../../../bin/start/embedded-store';
import { bedrockBackends } from '../../../lambda/backends/bedrock-backends';
import { addressesOf, bedrockTargets } from '../../../lambda/backends/bedrock-models';
import { httpBackends } from '../../../lambda/backends/http-backends';
import { BedrockApi } from '../../../lib/policy/backend';
import type { InferencePolicy } from '../../../lib/policy/policy';
import { awsError, type BedrockServer, CREDENTIALS, startBedrock } from '../bedrock-server';
import { converseEvent, converseException } from '../event-stream-frames';
import { policy } from '../policy';
import { RunningGateway } from '../running-gateway';
import { type Behaviour, chunk, event, failing, HEALTHY, type StubBackend, startBackend } from '../stub-backend';

const REGION = 'eu-west-1';
const MODEL_ID = 'eu.amazon.nova-lite-v1:0';
const CHAT = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] };
const USAGE = { inputTokens: 7, outputTokens: 5, totalTokens: 12 };
const EVENT_STREAM = 'application/vnd.amazon.eventstream';

const START = converseEvent('messageStart', { role: 'assistant' });
const END = Buffer.concat([
  converseEvent('messageStop', { stopReason: 'end_turn' }),
  converseEvent('metadata', { usage: USAGE }),
]);
const text = (content: string) =>
  converseEvent('contentBlockDelta', { contentBlockIndex: 0, delta: { text: content } });

/** Converse as it should be: the answer is in pieces of 7 bytes where it is streamed. */
const CONVERSE: Behaviour = (response, { request }) => {
  response.setHeader('x-amzn-requestid', 'of-bedrock');
  if (!request.url!.endsWith('/converse-stream')) {
    const message = { role: 'assistant', content: [{ text: 'From Bedrock' }] };
    response.end(JSON.stringify({ output: { message }, stopReason: 'end_turn', usage: USAGE }));
    return;
  }
  response.setHeader('content-type', EVENT_STREAM);
  const bytes = Buffer.concat([START, text('From '), text('Bedrock'), END]);
  for (let at = 0; at < bytes.length; at += 7) response.write(bytes.subarray(at, at + 7));
  response.end();
};

const streaming =
  (...frames: Buffer[]): Behaviour =>
  (response) =>
    response.setHeader('content-type', EVENT_STREAM).end(Buffer.concat(frames));

describe('a model of Bedrock behind the gateway', () => {
  let gpu: StubBackend;
  let bedrock: BedrockServer;
  let store: Awaited<ReturnType<typeof startEmbeddedStore>>;
  let gateway: RunningGateway;

  beforeEach(async () => {
    [gpu, bedrock, store] = await Promise.all([
      startBackend(failing(500)),
      startBedrock(REGION, CONVERSE),
      startEmbeddedStore(),
    ]);
  });
  afterEach(async () => {
    gateway.close();
    await Promise.all([gpu.close(), bedrock.close(), store.close()]);
  });

  function start(changes: Partial<InferencePolicy> = {}, api?: BedrockApi) {
    const resolved = policy({
      backends: [
        { name: 'gpu', retries: { max: 0 } },
        {
          name: 'bedrock',
          retries: { max: 0 },
          bedrock: { modelId: MODEL_ID, ...(api && { api }) },
          breaker: { minimumCalls: 4 },
        },
      ],
      models: [{ name: 'llama', backends: ['gpu', 'bedrock'] }],
      ...changes,
    });
    const environment = { AWS_REGION: REGION, AWS_ENDPOINT_URL_BEDROCK_RUNTIME: bedrock.url };
    const targets = bedrockTargets(environment, resolved.backends);
    const send = httpBackends({ gpu, ...addressesOf(targets) });
    gateway = new RunningGateway(
      store.url,
      resolved,
      bedrockBackends(targets, { send, credentials: () => CREDENTIALS, now: Date.now }),
    );
    return (body: unknown, options?: Parameters<RunningGateway['send']>[1]) => gateway.send(body, options);
  }
  const onlyBedrock = { models: [{ name: 'llama', backends: ['bedrock'] }] };
  const bedrockFirst = { models: [{ name: 'llama', backends: ['bedrock', 'gpu'] }] };

  it('answers for a failed fleet, and is charged by its own usage', async () => {
    const answer = await start()({ ...CHAT, max_tokens: 50 });
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'x-served-by': 'bedrock', 'x-fallback': 'backend_error', 'content-type': 'application/json' },
      record: { inputTokens: 7, outputTokens: 5 },
    });
    expect(JSON.parse(answer.text)).toMatchObject({
      id: 'chatcmpl-of-bedrock',
      object: 'chat.completion',
      model: 'llama',
      choices: [{ message: { content: 'From Bedrock' }, finish_reason: 'stop' }],
      usage: { total_tokens: 12 },
    });
    expect(bedrock.paths).toEqual(['/model/eu.amazon.nova-lite-v1%3A0/converse']);
    expect(bedrock.calls[0]!.body).toEqual({
      messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
      inferenceConfig: { maxTokens: 50 },
    });
  });

  it('streams for a failed fleet, as any OpenAI server would', async () => {
    const send = start({ cache: {} });
    const answer = await send({ ...CHAT, stream: true });
    expect(answer).toMatchObject({
      headers: { 'x-served-by': 'bedrock', 'x-fallback': 'backend_error', 'content-type': 'text/event-stream' },
      record: { inputTokens: 7, outputTokens: 5 },
    });
    const contents = [...answer.text.matchAll(/"content":"([^"]*)"/g)].map(([, content]) => content);
    expect(contents).toEqual(['', 'From ', 'Bedrock']);
    expect(answer.text).toMatch(/"finish_reason":"stop"[^\n]*\n\ndata: \[DONE\]\n\n$/);
    expect(bedrock.paths).toEqual(['/model/eu.amazon.nova-lite-v1%3A0/converse-stream']);
    const again = await send({ ...CHAT, stream: true });
    expect([again.headers['x-cache'], again.text]).toEqual(['hit', answer.text]);
  });

  it('keeps its connection for the next call, after a stream too', async () => {
    const ports = new Set<number | undefined>();
    bedrock.behave = (response, call) => {
      ports.add(call.request.socket.remotePort);
      CONVERSE(response, call);
    };
    const send = start(onlyBedrock);
    for (const stream of [true, false, true]) await send({ ...CHAT, stream });
    expect(ports.size).toBe(1);
  });

  it('is called by OpenAI’s protocol where the policy says so', async () => {
    bedrock.behave = HEALTHY;
    const send = start({}, BedrockApi.OPENAI);
    expect((await send({ ...CHAT, n: 2 })).text).toContain('Hi!');
    expect((await send({ ...CHAT, stream: true })).text).toBe(chunk('Hi') + chunk('!') + event('[DONE]'));
    expect(bedrock.paths).toEqual(['/openai/v1/chat/completions', '/openai/v1/chat/completions']);
    expect(bedrock.calls[0]!.body).toEqual({ ...CHAT, model: MODEL_ID, n: 2 });
  });

  it('sees its call broken off when the client hangs up', async () => {
    bedrock.behave = (response) => {
      response.setHeader('content-type', EVENT_STREAM).write(Buffer.concat([START, text('Once upon a time')]));
    };
    const answer = await start(onlyBedrock)(
      { ...CHAT, stream: true },
      { onBody: (received, hangUp) => received.includes('Once') && hangUp() },
    );
    await bedrock.brokenOff;
    expect(answer.record).toMatchObject({ hungUp: true, outputTokens: 5 });
  });

  it('sees its call broken off when the client hangs up before a byte of the answer', async () => {
    let hangUp: (() => void) | undefined;
    bedrock.behave = () => hangUp?.();
    const sent = start(onlyBedrock)({ ...CHAT, stream: true }, { onSent: (byClient) => (hangUp = byClient) });
    await bedrock.brokenOff;
    expect((await sent).record).toMatchObject({ hungUp: true, status: 499 });
  });

  it('that breaks its stream off ends with an error for the client, and nothing is kept', async () => {
    const send = start({ ...onlyBedrock, cache: {} });
    const broken = /"content":"Once"[^]*data: \{"error":\{.*"backend_unavailable"\}\}\n\n$/;
    for (const end of [
      converseException('modelStreamErrorException', 'oh'),
      Buffer.from('garbage, no event stream'),
      END.subarray(0, 30),
    ]) {
      bedrock.behave = (response) => {
        response.setHeader('content-type', EVENT_STREAM).write(Buffer.concat([START, text('Once')]));
        setTimeout(() => response.end(end), 20);
      };
      expect((await send({ ...CHAT, stream: true })).text).toMatch(broken);
    }
    bedrock.behave = CONVERSE;
    expect((await send({ ...CHAT, stream: true })).headers['x-cache']).toBe('miss');
  });

  it.each<[string, Behaviour, string]>([
    ['has no room', awsError(429, 'ThrottlingException'), 'backend_busy'],
    [
      'has no room, as it says in its stream',
      streaming(converseException('throttlingException', 'slower')),
      'backend_busy',
    ],
    ['denies us access', awsError(403, 'AccessDeniedException'), 'backend_error'],
    ['does not know our model', awsError(404, 'ResourceNotFoundException'), 'backend_error'],
    [
      'does not know our model’s name',
      awsError(400, 'ValidationException', 'The provided model identifier is invalid.'),
      'backend_error',
    ],
    ['has no model ready', awsError(429, 'ModelNotReadyException'), 'backend_error'],
    ['has a failing model', awsError(424, 'ModelErrorException'), 'backend_error'],
    ['is too slow by itself', awsError(408, 'ModelTimeoutException'), 'timeout'],
    ['answers garbage', failing(200, 'garbage'), 'backend_error'],
    ['closes its stream at once', streaming(), 'backend_error'],
    ['streams garbage', streaming(Buffer.alloc(40, 'x')), 'backend_error'],
    ['streams what is cut off', streaming(START.subarray(0, 20)), 'backend_error'],
  ])('that %s is replaced by the next backend', async (_, behave, reason) => {
    [bedrock.behave, gpu.behave] = [behave, HEALTHY];
    const answer = await start(bedrockFirst)({ ...CHAT, stream: true });
    expect(answer).toMatchObject({ status: 200, headers: { 'x-served-by': 'gpu', 'x-fallback': reason } });
  });

  it('tells the client what is wrong with its request', async () => {
    const messages = [
      awsError(400, 'ValidationException', 'too long'),
      streaming(converseException('validationException', 'too long')),
    ];
    const send = start(bedrockFirst);
    for (const behave of messages) {
      bedrock.behave = behave;
      const { status, text: body } = await send({ ...CHAT, stream: true });
      expect([status, JSON.parse(body)]).toMatchObject([
        400,
        { error: { message: 'too long', type: 'invalid_request_error' } },
      ]);
    }
    expect(gpu.calls).toHaveLength(0);
  });

  it('never tells the client what is wrong with our own settings', async () => {
    bedrock.behave = awsError(403, 'AccessDeniedException', 'arn:aws:iam::1234:role/secret is not authorized');
    const answer = await start(onlyBedrock)(CHAT);
    expect(answer.status).toBe(503);
    expect(answer.text).not.toContain('secret');
  });

  it('opens its breaker for what is wrong with our settings', async () => {
    bedrock.behave = awsError(404, 'ResourceNotFoundException');
    const send = start(onlyBedrock);
    for (let i = 0; i < 6; i++) await send(CHAT);
    expect(bedrock.calls).toHaveLength(4);
  });

  describe('asked for what it cannot do', () => {
    const image = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.com/cat.png' } }] };

    it('is passed over without a call, and without harm to its breaker', async () => {
      gpu.behave = HEALTHY;
      const send = start(bedrockFirst);
      for (let i = 0; i < 4; i++) {
        expect((await send({ ...CHAT, n: 2 })).headers).toMatchObject({
          'x-served-by': 'gpu',
          'x-fallback': 'not_supported',
        });
      }
      expect(bedrock.calls).toHaveLength(0);
      expect((await send(CHAT)).headers['x-served-by']).toBe('bedrock');
    });

    it.each<[string, object, string]>([
      ['choices', { ...CHAT, n: 2 }, 'n'],
      ['images from elsewhere', { ...CHAT, messages: [image] }, 'messages[0].content[0].image_url.url'],
    ])('is the client’s error where no other backend can: %s', async (_, body, param) => {
      const { status, text: told } = await start(onlyBedrock)(body);
      expect([status, JSON.parse(told)]).toMatchObject([400, { error: { param, type: 'invalid_request_error' } }]);
    });

    it('is no client’s error while a backend that could is down', async () => {
      const answer = await start()({ ...CHAT, n: 2 });
      expect([answer.status, answer.headers['x-fallback']]).toEqual([503, 'backend_error']);
      gateway.close();
      expect((await start(bedrockFirst)({ ...CHAT, n: 2 })).status).toBe(503);
    });

    it('serves no bare completions', async () => {
      const { status, text: told } = await start(onlyBedrock)(
        { model: 'llama', prompt: 'Once' },
        { path: '/v1/completions' },
      );
      expect([status, told]).toEqual([400, expect.stringContaining('chat completions only')]);
    });

    it('leaves a schema that its model does not take to the next backend', async () => {
      bedrock.behave = awsError(400, 'ValidationException', 'outputConfig is not supported');
      gpu.behave = HEALTHY;
      const response_format = { type: 'json_schema', json_schema: { name: 'x', schema: {} } };
      expect((await start(bedrockFirst)({ ...CHAT, response_format })).headers).toMatchObject({
        'x-served-by': 'gpu',
        'x-fallback': 'not_supported',
      });
      gateway.close();
      const { status, text: told } = await start(onlyBedrock)({ ...CHAT, response_format });
      expect([status, JSON.parse(told)]).toMatchObject([
        400,
        { error: { message: 'outputConfig is not supported', param: 'response_format' } },
      ]);
    });
  });
});
