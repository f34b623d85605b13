import type { ResolvedModel } from '../../lib/policy/defaults';
import { ModelKind } from '../../lib/policy/model';
import { tokensOfChat, tokensOfPrompt } from '../rate-limiting/estimate';
import { ApiError } from './api-error';
import { isRecord } from './http-event';
import type { Endpoint, OpenAiEndpoint } from './target';

/** A request that has passed every check. */
export interface InferenceRequest {
  readonly endpoint: Endpoint;
  readonly model: ResolvedModel;
  /** The client's body; fields that the gateway does not know are passed on. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly stream: boolean;
  /** Whether the client asked for a usage block at the end of its stream. */
  readonly includeUsage: boolean;
  /** Estimated tokens of what the client sent. */
  readonly inputTokens: number;
  /** Tokens that the answer may have, all choices together. */
  readonly outputTokens: number;
}

type Body = Readonly<Record<string, unknown>>;

const SERVES: Readonly<Record<ModelKind, readonly OpenAiEndpoint[]>> = {
  [ModelKind.CHAT]: ['chat', 'completions'],
  [ModelKind.COMPLETION]: ['completions'],
  [ModelKind.EMBEDDING]: ['embeddings'],
  [ModelKind.SERVICE]: [],
};

/** OpenAI's own limit on `n`. */
const MOST_CHOICES = 128;

/**
 * Checks a body and estimates its cost. API Gateway's request model has checked it before, but may be bypassed or lag
 * behind, so nothing here relies on that.
 *
 * @throws ApiError that names the field at fault
 */
export function parseInferenceRequest(
  endpoint: OpenAiEndpoint,
  body: Body,
  models: readonly ResolvedModel[],
): InferenceRequest {
  if (typeof body.model !== 'string' || body.model === '') {
    throw ApiError.invalidRequest('You must provide a model parameter: a string.', 'model');
  }
  const model = models.find(({ name }) => name === body.model);
  if (!model) throw ApiError.modelNotFound(body.model.slice(0, 128));
  if (!SERVES[model.kind].includes(endpoint)) {
    throw ApiError.invalidRequest(`The model \`${model.name}\` does not serve ${endpoint}.`, 'model');
  }
  const streams = flag(body, 'stream');
  const options = optionsOf(body, streams);
  const input = inputOf(endpoint, body);
  return {
    endpoint,
    model,
    body,
    stream: streams && endpoint !== 'embeddings',
    includeUsage: options.include_usage === true,
    inputTokens: input.tokens,
    outputTokens: endpoint === 'embeddings' ? 0 : outputTokens(body, model) * input.texts,
  };
}

/** Refuses a request that is larger than the plan allows at once. */
export function mustFitPlan(request: InferenceRequest, plan: { name: string; maxTokensPerRequest: number }): void {
  const tokens = request.inputTokens + request.outputTokens;
  if (tokens <= plan.maxTokensPerRequest) return;
  throw ApiError.invalidRequest(
    `This request needs about ${tokens} tokens (${request.inputTokens} of input, up to ${request.outputTokens} of ` +
      `output); the plan ${plan.name} allows ${plan.maxTokensPerRequest} for one request. ` +
      'Shorten the input or lower max_tokens or n.',
  );
}

function inputOf(endpoint: OpenAiEndpoint, body: Body): { readonly tokens: number; readonly texts: number } {
  switch (endpoint) {
    case 'chat': {
      const { messages } = body;
      if (!Array.isArray(messages) || messages.length === 0) {
        throw ApiError.invalidRequest('messages must be a list of at least one message.', 'messages');
      }
      messages.forEach(checkMessage);
      return { tokens: tokensOfChat(messages, body.tools), texts: 1 };
    }
    case 'completions':
      return promptOf(body, 'prompt');
    case 'embeddings':
      return promptOf(body, 'input');
  }
}

function checkMessage(message: unknown, index: number): void {
  const at = `messages[${index}]`;
  if (!isRecord(message)) throw ApiError.invalidRequest(`${at} must be an object.`, at);
  if (typeof message.role !== 'string' || message.role === '') {
    throw ApiError.invalidRequest(`${at}.role must be a string.`, `${at}.role`);
  }
  const { content } = message;
  if (content == null || typeof content === 'string') return;
  if (!Array.isArray(content) || !content.every(isRecord)) {
    throw ApiError.invalidRequest(`${at}.content must be a string or a list of content parts.`, `${at}.content`);
  }
}

function promptOf(body: Body, field: 'prompt' | 'input'): { readonly tokens: number; readonly texts: number } {
  const value = body[field];
  if (!isText(value) && !(Array.isArray(value) && value.length > 0 && isListOfTexts(value))) {
    throw ApiError.invalidRequest(`${field} must be a string, a list of strings, or lists of token numbers.`, field);
  }
  return tokensOfPrompt(value);
}

/** One text: a string, or the numbers of its tokens. */
function isText(value: unknown): boolean {
  if (typeof value === 'string') return true;
  return Array.isArray(value) && value.length > 0 && value.every(Number.isSafeInteger);
}

function isListOfTexts(values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === 'string') || values.every((v) => Array.isArray(v) && isText(v));
}

function outputTokens(body: Body, model: ResolvedModel): number {
  const limits = [whole(body, 'max_completion_tokens', 0), whole(body, 'max_tokens', 0)];
  const perChoice = limits.find((limit) => limit !== undefined) ?? model.expectedOutputTokens;
  const choices = Math.max(whole(body, 'n', 1, MOST_CHOICES) ?? 1, whole(body, 'best_of', 1, MOST_CHOICES) ?? 1);
  return perChoice * choices;
}

function whole(body: Body, field: string, min: number, max = 10_000_000): number | undefined {
  const value = body[field];
  if (value == null) return undefined;
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw ApiError.invalidRequest(`${field} must be a whole number from ${min} to ${max}.`, field);
  }
  return value as number;
}

function flag(body: Body, field: string): boolean {
  const value = body[field];
  if (value == null) return false;
  if (typeof value !== 'boolean') throw ApiError.invalidRequest(`${field} must be true or false.`, field);
  return value;
}

function optionsOf(body: Body, streams: boolean): Body {
  const options = body.stream_options;
  if (options == null) return {};
  if (!isRecord(options)) throw ApiError.invalidRequest('stream_options must be an object.', 'stream_options');
  if (!streams) {
    throw ApiError.invalidRequest('stream_options is only allowed when stream is true.', 'stream_options');
  }
  return options;
}
