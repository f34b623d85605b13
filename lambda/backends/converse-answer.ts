import { BackendFailure } from '../gateway/backend-port';
import { isRecord } from '../gateway/http-event';

/** What the answer says of itself, beside what Converse says. */
export interface AnswerHead {
  /** Unique. */
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  /** The name that the client uses. */
  readonly model: string;
}

/** OpenAI's usage block. */
export interface OpenAiUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens: number };
}

type Json = Readonly<Record<string, unknown>>;

/**
 * OpenAI's words for why Converse's models stop. Words that are not here yet are an ordinary end; a model that wrote
 * what is no answer (`malformed_…`) has failed.
 */
const FINISH_REASON: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  tool_use: 'tool_calls',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  guardrail_intervened: 'content_filter',
  content_filtered: 'content_filter',
};

/**
 * Translates a whole answer of Converse into a chat completion.
 *
 * @throws BackendFailure for what is no answer
 */
export function chatCompletionOf(text: string, head: AnswerHead): object {
  const answer = parsed(text);
  const message = isRecord(answer.output) ? answer.output.message : undefined;
  if (!isRecord(message) || !Array.isArray(message.content)) {
    throw new BackendFailure('broken', 'the answer of Converse holds no message');
  }
  const blocks = message.content.filter(isRecord);
  const calls = blocks.flatMap(({ toolUse }) => (isRecord(toolUse) ? [toolCallOf(toolUse)] : []));
  const written = blocks.flatMap(({ text: part }) => (typeof part === 'string' ? [part] : [])).join('');
  const reasoning = blocks.map(({ reasoningContent }) => reasoningOf(reasoningContent)).join('');
  const usage = usageOf(answer.usage);
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: written === '' && calls.length > 0 ? null : written,
          refusal: null,
          ...(reasoning !== '' && { reasoning_content: reasoning }),
          ...(calls.length > 0 && { tool_calls: calls }),
        },
        logprobs: null,
        finish_reason: finishReasonOf(answer.stopReason),
      },
    ],
    ...(usage && { usage }),
  };
}

/**
 * Why the model stopped, in OpenAI's words.
 *
 * @throws BackendFailure where it wrote what is no answer
 */
export function finishReasonOf(stopReason: unknown): string {
  const reason = typeof stopReason === 'string' ? stopReason : '';
  if (reason.startsWith('malformed_')) throw new BackendFailure('broken', `the model stopped with ${reason}`);
  return FINISH_REASON[reason] ?? 'stop';
}

/** The tokens of an answer; those that Bedrock read from or wrote to its prompt cache are counted apart there, not here. */
export function usageOf(usage: unknown): OpenAiUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const count = (field: string) => (typeof usage[field] === 'number' ? usage[field] : 0);
  const cached = count('cacheReadInputTokens');
  const input = count('inputTokens') + cached + count('cacheWriteInputTokens');
  const output = count('outputTokens');
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    ...(cached > 0 && { prompt_tokens_details: { cached_tokens: cached } }),
  };
}

function toolCallOf({ toolUseId, name, input }: Json): object {
  return { id: toolUseId, type: 'function', function: { name, arguments: JSON.stringify(input ?? {}) } };
}

function reasoningOf(content: unknown): string {
  const told = isRecord(content) && isRecord(content.reasoningText) ? content.reasoningText.text : undefined;
  return typeof told === 'string' ? told : '';
}

function parsed(text: string): Json {
  try {
    const answer: unknown = JSON.parse(text);
    if (isRecord(answer)) return answer;
  } catch {
    // Told below.
  }
  throw new BackendFailure('broken', 'the answer of Converse is no JSON object');
}
