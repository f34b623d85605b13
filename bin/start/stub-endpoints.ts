import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ModelKind } from '../../lib/policy';
import { answerText, embed, encodeVector, type StubAnswer, type StubRequest } from './stub-answers';

/** How long the stub takes to speak. */
export interface StubPace {
  /** From the request to the first token. */
  readonly firstTokenMs: number;
  /** Between two tokens of a stream. */
  readonly tokenMs: number;
}

/** One call for an answer. */
export interface StubCall {
  readonly backend: string;
  /** How many calls came before it, plus one. */
  readonly number: number;
  readonly pace: StubPace;
  readonly request: StubRequest;
  readonly response: ServerResponse;
}

/** What answers a call on each route. */
export const STUB_ENDPOINTS: Readonly<Record<string, (call: StubCall) => Promise<void>>> = {
  'POST /v1/chat/completions': (call) =>
    answerInText(call, {
      idPrefix: 'chatcmpl',
      object: 'chat.completion',
      chunkObject: 'chat.completion.chunk',
      whole: (content) => ({ message: { role: 'assistant', content, refusal: null } }),
      first: { delta: { role: 'assistant', content: '' } },
      piece: (content) => ({ delta: { content } }),
      last: { delta: {} },
    }),
  'POST /v1/completions': (call) =>
    answerInText(call, {
      idPrefix: 'cmpl',
      object: 'text_completion',
      chunkObject: 'text_completion',
      whole: (text) => ({ text }),
      piece: (text) => ({ text }),
      last: { text: '' },
    }),
  'POST /v1/embeddings': answerInVectors,
  'POST /': echo,
};

/** The route of a call by what its backend does, where one path takes all calls: chats and completions differ in their bodies. */
export function routeOfKind(kind: ModelKind, request: StubRequest): string {
  switch (kind) {
    case ModelKind.CHAT:
      return request.messages ? 'POST /v1/chat/completions' : 'POST /v1/completions';
    case ModelKind.COMPLETION:
      return 'POST /v1/completions';
    case ModelKind.EMBEDDING:
      return 'POST /v1/embeddings';
    case ModelKind.SERVICE:
      return 'POST /';
  }
}

/** Ends a response with a JSON object. */
export function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** How a text endpoint wraps its choices, whole and in pieces. */
interface TextShape {
  readonly idPrefix: string;
  readonly object: string;
  readonly chunkObject: string;
  readonly first?: object;
  readonly last: object;
  whole(text: string): object;
  piece(text: string): object;
}

async function answerInText(call: StubCall, shape: TextShape): Promise<void> {
  const { backend, number, pace, request, response } = call;
  const said = answerText(backend, request);
  const indexes = [...Array(request.n ?? 1).keys()];
  const digest = createHash('sha1').update(`${backend}:${number}`).digest('hex');
  const head = {
    id: `${shape.idPrefix}-${digest.slice(0, 24)}`,
    created: Math.floor(Date.now() / 1000),
    model: request.model,
  };
  const choices = (finishReason: string | null, content: object) =>
    indexes.map((index) => ({ index, ...content, logprobs: null, finish_reason: finishReason }));
  const usage = usageOf(said, indexes.length);

  await delay(pace.firstTokenMs);
  if (request.stream !== true) {
    const whole = choices(said.finishReason, shape.whole(said.tokens.join('')));
    sendJson(response, 200, { ...head, object: shape.object, choices: whole, usage });
    return;
  }

  const withUsage = request.stream_options?.include_usage === true;
  const send = (chunk: object) => {
    const event = { ...head, object: shape.chunkObject, ...(withUsage && { usage: null }), ...chunk };
    response.write(`data: ${JSON.stringify(event)}\n\n`);
  };
  const sendChoices = (finishReason: string | null, content: object) => {
    for (const choice of choices(finishReason, content)) send({ choices: [choice] });
  };
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  if (shape.first) sendChoices(null, shape.first);
  for (const [position, token] of said.tokens.entries()) {
    if (position > 0) await delay(pace.tokenMs);
    if (response.destroyed) return;
    sendChoices(null, shape.piece(token));
  }
  sendChoices(said.finishReason, shape.last);
  if (withUsage) send({ choices: [], usage });
  response.end('data: [DONE]\n\n');
}

async function answerInVectors({ pace, request, response }: StubCall): Promise<void> {
  const { vectors, promptTokens } = embed(request);
  await delay(pace.firstTokenMs);
  sendJson(response, 200, {
    object: 'list',
    model: request.model,
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: encodeVector(vector, request.encoding_format),
    })),
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  });
}

/** A service may answer anything; the stub tells what it was asked. */
async function echo({ backend, pace, request, response }: StubCall): Promise<void> {
  await delay(pace.firstTokenMs);
  sendJson(response, 200, { service: backend, request });
}

function usageOf(said: StubAnswer, choices: number): object {
  const completionTokens = said.tokens.length * choices;
  return {
    prompt_tokens: said.promptTokens,
    completion_tokens: completionTokens,
    total_tokens: said.promptTokens + completionTokens,
  };
}
