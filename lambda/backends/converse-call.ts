import { textOf } from '../gateway/answer-text';
import { type BackendAnswer, BackendFailure } from '../gateway/backend-port';
import { answerWith } from './answer-with';
import type { BedrockCall } from './bedrock-call';
import { statusOf } from './bedrock-errors';
import { type AnswerHead, chatCompletionOf } from './converse-answer';
import { converseRequestOf } from './converse-request';
import { ConverseStreamTranslator, exceptionIn } from './converse-stream';
import { EventStreamFault, type EventStreamMessage, EventStreamReader } from './event-stream';

/** What a call is made for. */
export interface ConverseSubject {
  readonly modelId: string;
  /** The gateway's id of the request. */
  readonly requestId: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** The same that the gateway holds of a whole answer. */
const MOST_BYTES = 32 * 1024 * 1024;

const EVENT_STREAM = 'application/vnd.amazon.eventstream';

/**
 * A chat as a call of Converse, streamed where the request says so.
 *
 * @throws UnsuitedBackend for a request that Converse could not answer as it was meant
 */
export function converseCall(
  request: Readonly<Record<string, unknown>>,
  { modelId, requestId, now }: ConverseSubject,
): BedrockCall {
  const converse = converseRequestOf(request);
  const isStream = request.stream === true;
  const headOf = ({ headers }: BackendAnswer): AnswerHead => ({
    id: `chatcmpl-${String(headers['x-amzn-requestid'] ?? requestId)}`,
    created: Math.floor(now / 1000),
    model: String(request.model),
  });
  return {
    path: `/model/${encodeURIComponent(modelId)}/converse${isStream ? '-stream' : ''}`,
    body: JSON.stringify(converse),
    ...(converse.outputConfig && { dependsOnModel: 'response_format' }),
    translate: (answer) => (isStream ? streamed(answer, headOf(answer)) : whole(answer, headOf(answer))),
  };
}

async function whole(answer: BackendAnswer, head: AnswerHead): Promise<BackendAnswer> {
  const completion = chatCompletionOf(await textOf(answer, MOST_BYTES), head);
  return answerWith(answer, { body: JSON.stringify(completion) });
}

/** Waits for the first message of the stream: an exception there is an error response that came late. */
async function streamed(answer: BackendAnswer, head: AnswerHead): Promise<BackendAnswer> {
  const pieces = answer.body[Symbol.asyncIterator]();
  const reader = new EventStreamReader();
  try {
    if (!answer.headers['content-type']?.startsWith(EVENT_STREAM)) {
      throw new BackendFailure('broken', 'the answer is no event stream of AWS');
    }
    const begun = await firstMessages(pieces, reader);
    const exception = exceptionIn(begun[0]!);
    if (exception) {
      answer.discard();
      return answerWith(answer, { status: statusOf(exception), body: JSON.stringify({ message: exception.message }) });
    }
    return {
      ...answer,
      headers: { ...answer.headers, 'content-type': 'text/event-stream' },
      body: translated(begun, { pieces, reader, translator: new ConverseStreamTranslator(head) }),
    };
  } catch (error) {
    answer.discard();
    throw error;
  }
}

async function firstMessages(pieces: AsyncIterator<Buffer>, reader: EventStreamReader): Promise<EventStreamMessage[]> {
  for (;;) {
    const next = await pieces.next();
    if (next.done) throw new BackendFailure('broken', 'the stream closed before its first event');
    const messages = read(reader, next.value);
    if (messages.length > 0) return messages;
  }
}

/** Server-sent events, as soon as their messages are here. What came before a failure is passed on before it. */
async function* translated(
  begun: readonly EventStreamMessage[],
  stream: {
    readonly pieces: AsyncIterator<Buffer>;
    readonly reader: EventStreamReader;
    readonly translator: ConverseStreamTranslator;
  },
): AsyncGenerator<Buffer, void> {
  const { pieces, reader, translator } = stream;
  let messages = begun;
  for (;;) {
    const { text, failure } = translateAll(messages, translator);
    if (text !== '') yield Buffer.from(text);
    if (failure) throw failure;
    const next = await pieces.next();
    if (next.done) break;
    messages = read(reader, next.value);
  }
  if (!reader.isComplete) throw new BackendFailure('broken', 'the stream closed within an event');
  const last = translator.close();
  if (last !== '') yield Buffer.from(last);
}

function translateAll(
  messages: readonly EventStreamMessage[],
  translator: ConverseStreamTranslator,
): { readonly text: string; readonly failure?: BackendFailure } {
  let text = '';
  for (const message of messages) {
    try {
      text += translator.translate(message);
    } catch (error) {
      if (error instanceof BackendFailure) return { text, failure: error };
      throw error;
    }
  }
  return { text };
}

function read(reader: EventStreamReader, piece: Buffer): EventStreamMessage[] {
  try {
    return reader.take(piece);
  } catch (error) {
    if (error instanceof EventStreamFault) throw new BackendFailure('broken', error.message);
    throw error;
  }
}
