import { isRecord } from '../gateway/http-event';
import type { TokenSums } from './batch-record';
import type { ItemOutcome, ResultLine } from './item';
import { faultLine, outcomeOf } from './result-line';

/** A line of the output or of the error file. */
export interface WrittenResult {
  readonly outcome: ItemOutcome;
  /** With its line break. */
  readonly text: Buffer;
  readonly tokens: TokenSums;
}

const NO_TOKENS: TokenSums = { input: 0, cached: 0, output: 0, reasoning: 0 };

/** Why lines have no result, by how their batch ends. */
const ABSENT = {
  completed: {
    outcome: 'failed',
    code: 'result_missing',
    message: 'The result of this request has been lost. Send it again.',
  },
  cancelled: {
    outcome: 'skipped',
    code: 'batch_cancelled',
    message: 'This request was not executed: the batch was cancelled.',
  },
  expired: {
    outcome: 'failed',
    code: 'batch_expired',
    message: 'This request could not be executed before the completion window expired.',
  },
} as const;

/**
 * A stored result as a line of a file.
 *
 * @throws SyntaxError for what is no result
 */
export function writtenResult(stored: string): WrittenResult {
  const result = JSON.parse(stored) as ResultLine;
  const outcome = outcomeOf(result);
  // Written again where it was not one line, as a backend's own JSON may not be.
  const line = stored.includes('\n') ? JSON.stringify(result) : stored;
  const tokens = outcome === 'completed' ? tokensOf(result.response?.body) : NO_TOKENS;
  return { outcome: isSkipped(result) ? 'skipped' : outcome, text: Buffer.from(`${line}\n`), tokens };
}

/** The line of an item without a result. */
export function absentResult(
  item: { readonly batchId: string; readonly line: number },
  customId: string | null,
  ending: keyof typeof ABSENT,
): WrittenResult {
  const { outcome, ...fault } = ABSENT[ending];
  return {
    outcome,
    text: Buffer.from(`${JSON.stringify(faultLine(item, customId, fault))}\n`),
    tokens: NO_TOKENS,
  };
}

/** Adds the tokens of two tallies. */
export function addTokens(a: TokenSums, b: TokenSums): TokenSums {
  return {
    input: a.input + b.input,
    cached: a.cached + b.cached,
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
  };
}

/** A worker may write the error of an item that it skips. */
function isSkipped({ error }: ResultLine): boolean {
  return error?.code === ABSENT.cancelled.code;
}

function tokensOf(body: unknown): TokenSums {
  const usage = isRecord(body) && isRecord(body.usage) ? body.usage : {};
  const input = count(usage.prompt_tokens);
  const inputDetails = isRecord(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {};
  const outputDetails = isRecord(usage.completion_tokens_details) ? usage.completion_tokens_details : {};
  return {
    input,
    cached: count(inputDetails.cached_tokens),
    output: count(usage.completion_tokens),
    reasoning: count(outputDetails.reasoning_tokens),
  };
}

function count(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : 0;
}
