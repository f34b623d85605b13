import { BackendFailure } from '../gateway/backend-port';
import { isRecord } from '../gateway/http-event';
import { type AnswerHead, finishReasonOf, usageOf } from './converse-answer';
import type { EventStreamMessage } from './event-stream';

/** An error that came as a message of the stream. */
export interface StreamException {
  /** Its name, such as `throttlingException`. */
  readonly type: string;
  readonly message: string;
}

/** A tool call that is being written. */
interface OpenCall {
  /** Its place among the answer's calls. */
  readonly index: number;
  hasArguments: boolean;
}

type Json = Readonly<Record<string, unknown>>;

const DONE = 'data: [DONE]\n\n';

/** The exception that a message of the stream is; undefined for an event. */
export function exceptionIn({ headers, payload }: EventStreamMessage): StreamException | undefined {
  const kind = headers[':message-type'];
  if (kind === 'event') return undefined;
  if (kind === 'error') {
    return { type: headers[':error-code'] ?? 'unknown', message: headers[':error-message'] ?? '' };
  }
  const told = jsonOf(payload)?.message;
  return { type: headers[':exception-type'] ?? 'unknown', message: typeof told === 'string' ? told : '' };
}

/** Translates the events of one ConverseStream into those of a streamed chat completion, one by one. */
export class ConverseStreamTranslator {
  /** Whether the answer has come to its end. */
  public isComplete = false;
  private readonly calls = new Map<unknown, OpenCall>();
  private hasEnded = false;

  constructor(private readonly head: AnswerHead) {}

  /**
   * The server-sent events that one message stands for; none for what has no counterpart.
   *
   * @throws BackendFailure for an exception, and for what is no event
   */
  public translate(message: EventStreamMessage): string {
    const exception = exceptionIn(message);
    if (exception) throw new BackendFailure('broken', `${exception.type}: ${exception.message}`);
    const event = jsonOf(message.payload);
    if (!event) throw new BackendFailure('broken', 'an event of Converse is no JSON object');
    switch (message.headers[':event-type'] ?? '') {
      case 'messageStart':
        return this.chunk({ role: 'assistant', content: '' });
      case 'contentBlockStart':
        return this.blockStart(event);
      case 'contentBlockDelta':
        return this.blockDelta(event);
      case 'contentBlockStop':
        return this.blockStop(event);
      case 'messageStop':
        this.hasEnded = true;
        return this.chunk({}, finishReasonOf(event.stopReason));
      case 'metadata':
        return this.usage(event) + this.done();
      default:
        return '';
    }
  }

  /**
   * What is left to say when the stream closes: usually nothing.
   *
   * @throws BackendFailure where the model had not come to its end
   */
  public close(): string {
    if (!this.hasEnded) throw new BackendFailure('broken', 'the stream of Converse closed before its end');
    return this.done();
  }

  private blockStart({ contentBlockIndex, start }: Json): string {
    const use = isRecord(start) ? start.toolUse : undefined;
    if (!isRecord(use)) return '';
    const call = { index: this.calls.size, hasArguments: false };
    this.calls.set(contentBlockIndex, call);
    const { toolUseId: id, name } = use;
    return this.toolCall({ index: call.index, id, type: 'function', function: { name, arguments: '' } });
  }

  private blockDelta({ contentBlockIndex, delta }: Json): string {
    if (!isRecord(delta)) return '';
    if (typeof delta.text === 'string') return this.chunk({ content: delta.text });
    const { toolUse, reasoningContent } = delta;
    if (isRecord(reasoningContent) && typeof reasoningContent.text === 'string') {
      return this.chunk({ reasoning_content: reasoningContent.text });
    }
    const call = this.calls.get(contentBlockIndex);
    if (!call || !isRecord(toolUse) || typeof toolUse.input !== 'string') return '';
    return toolUse.input === '' ? '' : this.callArguments(call, toolUse.input);
  }

  /** A call without arguments ends as one with none, which clients can read as JSON. */
  private blockStop({ contentBlockIndex }: Json): string {
    const call = this.calls.get(contentBlockIndex);
    return call && !call.hasArguments ? this.callArguments(call, '{}') : '';
  }

  private callArguments(call: OpenCall, text: string): string {
    call.hasArguments = true;
    return this.toolCall({ index: call.index, function: { arguments: text } });
  }

  private toolCall(call: object): string {
    return this.chunk({ tool_calls: [call] });
  }

  private chunk(delta: object, finishReason: string | null = null): string {
    return this.event({ choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }] });
  }

  private usage({ usage }: Json): string {
    const told = usageOf(usage);
    return told ? this.event({ choices: [], usage: told }) : '';
  }

  private done(): string {
    if (this.isComplete || !this.hasEnded) return '';
    this.isComplete = true;
    return DONE;
  }

  private event(part: object): string {
    const { id, created, model } = this.head;
    return `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created, model, ...part })}\n\n`;
  }
}

function jsonOf(payload: Buffer): Json | undefined {
  try {
    const json: unknown = JSON.parse(payload.toString('utf8'));
    return isRecord(json) ? json : undefined;
  } catch {
    return undefined;
  }
}
