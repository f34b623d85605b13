import { tokensOfBytes } from '../rate-limiting/estimate';
import { isRecord } from './http-event';

/** Tokens that an answer used. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** The usage block of an answer or of a stream's chunk; undefined where it has none that can be believed. */
export function reportedUsage(answer: unknown): Usage | undefined {
  if (!isRecord(answer) || !isRecord(answer.usage)) return undefined;
  const { prompt_tokens: input, completion_tokens: output, total_tokens: total } = answer.usage;
  if (!isCount(input)) return undefined;
  if (isCount(output)) return { inputTokens: input, outputTokens: output };
  return { inputTokens: input, outputTokens: isCount(total) ? Math.max(0, total - input) : 0 };
}

/** UTF-8 bytes of all text that a model wrote, in a whole answer or in a stream's chunk. */
export function generatedBytes(answer: unknown): number {
  if (!isRecord(answer) || !Array.isArray(answer.choices)) return 0;
  return answer.choices.reduce<number>((sum, choice) => sum + bytesOfChoice(choice), 0);
}

/** Tokens of so much written text. */
export function usageSeen(inputTokens: number, bytes: number): Usage {
  return { inputTokens, outputTokens: tokensOfBytes(bytes) };
}

function bytesOfChoice(choice: unknown): number {
  if (!isRecord(choice)) return 0;
  const message = choice.delta ?? choice.message;
  const { content, reasoning_content: reasoning, tool_calls: calls } = isRecord(message) ? message : {};
  const texts = [choice.text, content, reasoning, ...(Array.isArray(calls) ? calls.map(argumentsOf) : [])];
  return texts.reduce<number>((sum, text) => sum + (typeof text === 'string' ? Buffer.byteLength(text) : 0), 0);
}

function argumentsOf(call: unknown): unknown {
  return isRecord(call) && isRecord(call.function) ? call.function.arguments : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
