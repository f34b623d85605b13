import { describe, expect, it } from '@jest/globals';
import { chatCompletionOf } from '../../../lambda/backends/converse-answer';

const HEAD = { id: 'chatcmpl-1', created: 1_700_000_000, model: 'llama' };
const answer = (content: unknown, rest: object = {}) =>
  JSON.stringify({ output: { message: { role: 'assistant', content } }, stopReason: 'end_turn', ...rest });
const completion = (text: string) => chatCompletionOf(text, HEAD) as { choices: [object] };

describe('an answer of Converse', () => {
  it('is a chat completion', () => {
    const usage = { inputTokens: 7, outputTokens: 5, totalTokens: 12 };
    expect(completion(answer([{ text: 'Hi' }, { text: '!' }], { usage }))).toEqual({
      ...HEAD,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hi!', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 },
    });
  });

  it('counts what Bedrock read from its prompt cache, and what it wrote there', () => {
    const usage = { inputTokens: 7, outputTokens: 5, cacheReadInputTokens: 100, cacheWriteInputTokens: 10 };
    expect(completion(answer([], { usage }))).toMatchObject({
      usage: {
        prompt_tokens: 117,
        completion_tokens: 5,
        total_tokens: 122,
        prompt_tokens_details: { cached_tokens: 100 },
      },
    });
  });

  it('has its tool calls, with arguments as text', () => {
    const content = [
      { toolUse: { toolUseId: 'a', name: 'search', input: { q: 1 } } },
      { toolUse: { toolUseId: 'b', name: 'now' } },
    ];
    expect(completion(answer(content, { stopReason: 'tool_use' })).choices[0]).toMatchObject({
      message: {
        content: null,
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'search', arguments: '{"q":1}' } },
          { id: 'b', type: 'function', function: { name: 'now', arguments: '{}' } },
        ],
      },
      finish_reason: 'tool_calls',
    });
  });

  it('has its reasoning apart', () => {
    const content = [{ reasoningContent: { reasoningText: { text: 'Hm.', signature: 's' } } }, { text: 'Yes' }];
    expect(completion(answer(content)).choices[0]).toMatchObject({
      message: { content: 'Yes', reasoning_content: 'Hm.' },
    });
  });

  it.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['tool_use', 'tool_calls'],
    ['guardrail_intervened', 'content_filter'],
    ['content_filtered', 'content_filter'],
    ['a_word_of_tomorrow', 'stop'],
    [undefined, 'stop'],
  ])('that stopped for %s has stopped for %s', (stopReason, finish_reason) => {
    expect(completion(answer([{ text: 'x' }], { stopReason })).choices[0]).toMatchObject({ finish_reason });
  });

  it.each([
    ['garbage', '<html>'],
    ['a list', '[]'],
    ['no message', '{"output":{}}'],
    ['no content', answer('x')],
    ['what the model could not write', answer([{ text: 'x' }], { stopReason: 'malformed_tool_use' })],
  ])('is a failure where it is %s', (_, text) => {
    expect(() => completion(text)).toThrow(expect.objectContaining({ name: 'BackendFailure', kind: 'broken' }));
  });
});
