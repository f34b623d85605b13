import { describe, expect, it } from '@jest/globals';
import { ConverseStreamTranslator, exceptionIn } from '../../../lambda/backends/converse-stream';
import { type EventStreamMessage, EventStreamReader } from '../../../lambda/backends/event-stream';
import { converseEvent, converseException, frame } from '../event-stream-frames';

const HEAD = { id: 'chatcmpl-1', created: 1_700_000_000, model: 'llama' };
const broken = (message: string) =>
  expect.objectContaining({ name: 'BackendFailure', kind: 'broken', message }) as unknown as Error;

const messageOf = (bytes: Buffer): EventStreamMessage => new EventStreamReader().take(bytes)[0]!;

/** The data of all events that some frames are translated into. */
function translate(...frames: Buffer[]): unknown[] {
  const translator = new ConverseStreamTranslator(HEAD);
  const text = frames.map((bytes) => translator.translate(messageOf(bytes))).join('') + translator.close();
  return text
    .split('\n\n')
    .slice(0, -1)
    .map((event) => event.replace(/^data: /, ''))
    .map((data): unknown => (data === '[DONE]' ? data : JSON.parse(data)));
}
const chunk = (delta: object, finish_reason: string | null = null) => ({
  ...HEAD,
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta, logprobs: null, finish_reason }],
});
const delta = (contentBlockIndex: number, part: object) =>
  converseEvent('contentBlockDelta', { contentBlockIndex, delta: part });
const STOP = converseEvent('messageStop', { stopReason: 'end_turn' });

describe('a stream of Converse', () => {
  it('is a stream of chunks, with its usage and its end', () => {
    expect(
      translate(
        converseEvent('messageStart', { role: 'assistant' }),
        delta(0, { text: 'Hi' }),
        delta(0, { text: '!' }),
        converseEvent('contentBlockStop', { contentBlockIndex: 0 }),
        STOP,
        converseEvent('metadata', { usage: { inputTokens: 7, outputTokens: 5, totalTokens: 12 }, metrics: {} }),
      ),
    ).toEqual([
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: 'Hi' }),
      chunk({ content: '!' }),
      chunk({}, 'stop'),
      {
        ...HEAD,
        object: 'chat.completion.chunk',
        choices: [],
        usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 },
      },
      '[DONE]',
    ]);
  });

  it('counts its tool calls from 0, and gives one without arguments an empty object', () => {
    const start = (contentBlockIndex: number, toolUseId: string) =>
      converseEvent('contentBlockStart', { contentBlockIndex, start: { toolUse: { toolUseId, name: 'search' } } });
    const opened = (index: number, id: string) =>
      chunk({ tool_calls: [{ index, id, type: 'function', function: { name: 'search', arguments: '' } }] });
    const written = (index: number, text: string) => chunk({ tool_calls: [{ index, function: { arguments: text } }] });
    expect(
      translate(
        delta(0, { text: 'Let me see.' }),
        converseEvent('contentBlockStop', { contentBlockIndex: 0 }),
        start(1, 'a'),
        delta(1, { toolUse: { input: '' } }),
        delta(1, { toolUse: { input: '{"q":' } }),
        delta(1, { toolUse: { input: '1}' } }),
        converseEvent('contentBlockStop', { contentBlockIndex: 1 }),
        start(2, 'b'),
        converseEvent('contentBlockStop', { contentBlockIndex: 2 }),
        converseEvent('messageStop', { stopReason: 'tool_use' }),
      ),
    ).toEqual([
      chunk({ content: 'Let me see.' }),
      opened(0, 'a'),
      written(0, '{"q":'),
      written(0, '1}'),
      opened(1, 'b'),
      written(1, '{}'),
      chunk({}, 'tool_calls'),
      '[DONE]',
    ]);
  });

  it('has its reasoning apart, and leaves out what has no counterpart', () => {
    const events = translate(
      delta(0, { reasoningContent: { text: 'Hm.' } }),
      delta(0, { reasoningContent: { signature: 's' } }),
      delta(1, { citation: {} }),
      delta(7, { toolUse: { input: 'of no call' } }),
      converseEvent('contentBlockStart', { contentBlockIndex: 1, start: {} }),
      converseEvent('somethingNew', {}),
      STOP,
    );
    expect(events).toEqual([chunk({ reasoning_content: 'Hm.' }), chunk({}, 'stop'), '[DONE]']);
  });

  it('is broken by an exception, by an error, and by what is no event', () => {
    const translator = new ConverseStreamTranslator(HEAD);
    const fails = (bytes: Buffer, message: string) =>
      expect(() => translator.translate(messageOf(bytes))).toThrow(broken(message));
    fails(converseException('throttlingException', 'slower'), 'throttlingException: slower');
    const error = { ':message-type': 'error', ':error-code': 'InternalFailure', ':error-message': 'oh' };
    fails(frame(error, ''), 'InternalFailure: oh');
    fails(frame({}, 'garbage'), 'unknown: ');
    fails(
      frame({ ':message-type': 'event', ':event-type': 'messageStop' }, '[]'),
      'an event of Converse is no JSON object',
    );
    fails(
      converseEvent('messageStop', { stopReason: 'malformed_model_output' }),
      'the model stopped with malformed_model_output',
    );
  });

  it('that closes before its end is broken', () => {
    expect(() => translate(delta(0, { text: 'Hi' }))).toThrow(broken('the stream of Converse closed before its end'));
  });

  it('tells events from exceptions', () => {
    expect(exceptionIn(messageOf(STOP))).toBeUndefined();
    expect(exceptionIn(messageOf(converseException('validationException', 'no')))).toEqual({
      type: 'validationException',
      message: 'no',
    });
  });
});
