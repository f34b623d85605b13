import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { converseRequestOf } from '../../../lambda/backends/converse-request';
import { UnsuitedBackend } from '../../../lambda/gateway/backend-port';

const user = (content: unknown) => ({ role: 'user', content });
const HELLO = [user('Hello')];
const PNG = 'data:image/png;base64,iVBORw0KGgo=';
const call = (id: string, args: string) => ({ id, type: 'function', function: { name: 'search', arguments: args } });
const SEARCH = {
  type: 'function',
  function: { name: 'search', description: 'Finds', parameters: { type: 'object' }, strict: true },
};
const SEARCH_SPEC = { toolSpec: { name: 'search', description: 'Finds', inputSchema: { json: { type: 'object' } } } };

describe('a chat for Converse', () => {
  it('keeps what the model is told apart from what is said, wherever it stood', () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      user('Hello'),
      { role: 'developer', content: [{ type: 'text', text: 'Be kind.' }] },
    ];
    expect(converseRequestOf({ messages })).toEqual({
      system: [{ text: 'Be brief.' }, { text: 'Be kind.' }],
      messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
    });
  });

  it('takes turns: messages in a row of one role are one, and blank text is left out', () => {
    const messages = [
      user('One'),
      user('  '),
      user([{ type: 'text', text: 'Two' }]),
      { role: 'assistant', content: '' },
      { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] },
      user('Three'),
    ];
    expect(converseRequestOf({ messages }).messages).toEqual([
      { role: 'user', content: [{ text: 'One' }, { text: 'Two' }] },
      { role: 'assistant', content: [{ text: 'No.' }] },
      { role: 'user', content: [{ text: 'Three' }] },
    ]);
  });

  it('takes turns whatever is said', () => {
    const role = fc.constantFrom('system', 'developer', 'user', 'assistant');
    const message = fc.record({ role, content: fc.string({ maxLength: 5 }) });
    fc.assert(
      fc.property(fc.array(message), (said) => {
        const { messages } = converseRequestOf({ messages: [user('Hello'), ...said] });
        messages.forEach((turn, i) => {
          expect(turn.role).toBe(i % 2 === 0 ? 'user' : 'assistant');
          expect(turn.content.length).toBeGreaterThan(0);
        });
        const texts = said.filter((one) => ['user', 'assistant'].includes(one.role)).map((one) => one.content);
        const kept = messages.flatMap((turn) => turn.content.map(({ text }) => text));
        expect(kept).toEqual(['Hello', ...texts.filter((text) => text.trim() !== '')]);
      }),
    );
  });

  it('brings images along as their bytes', () => {
    const content = [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url: PNG, detail: 'low' } },
      { type: 'image_url', image_url: { url: 'data:image/JPG;base64,/9j/' } },
    ];
    expect(converseRequestOf({ messages: [user(content)] }).messages[0]!.content).toEqual([
      { text: 'What is this?' },
      { image: { format: 'png', source: { bytes: 'iVBORw0KGgo=' } } },
      { image: { format: 'jpeg', source: { bytes: '/9j/' } } },
    ]);
  });

  it('brings tool calls and their answers along', () => {
    const messages = [
      user('Search twice'),
      { role: 'assistant', content: null, tool_calls: [call('call_1', '{"q":1}'), call('call 2', '')] },
      { role: 'tool', tool_call_id: 'call_1', content: 'found' },
      { role: 'tool', tool_call_id: 'call 2', content: '' },
      user('So?'),
    ];
    const { messages: turns, toolConfig } = converseRequestOf({ messages, tools: [SEARCH], tool_choice: 'auto' });
    const other = expect.stringMatching(/^[0-9a-f]{64}$/) as unknown as string;
    expect(turns.slice(1)).toEqual([
      {
        role: 'assistant',
        content: [
          { toolUse: { toolUseId: 'call_1', name: 'search', input: { q: 1 } } },
          { toolUse: { toolUseId: other, name: 'search', input: {} } },
        ],
      },
      {
        role: 'user',
        content: [
          { toolResult: { toolUseId: 'call_1', content: [{ text: 'found' }] } },
          { toolResult: { toolUseId: other, content: [{ text: '(no output)' }] } },
          { text: 'So?' },
        ],
      },
    ]);
    expect(toolConfig).toEqual({ tools: [SEARCH_SPEC], toolChoice: { auto: {} } });
    const [first, second] = [turns[1]!.content[1], turns[2]!.content[1]] as Record<string, { toolUseId: string }>[];
    expect(first!.toolUse!.toolUseId).toBe(second!.toolResult!.toolUseId);
  });

  it.each([
    ['required', { any: {} }],
    [{ type: 'function', function: { name: 'search' } }, { tool: { name: 'search' } }],
    [undefined, undefined],
  ])('has its choice of tools, %j', (choice, toolChoice) => {
    const request = converseRequestOf({ messages: HELLO, tools: [SEARCH], tool_choice: choice });
    expect(request.toolConfig).toEqual({ tools: [SEARCH_SPEC], ...(toolChoice && { toolChoice }) });
  });

  it('offers no tool where none may be called', () => {
    expect(converseRequestOf({ messages: HELLO, tools: [SEARCH], tool_choice: 'none' })).not.toHaveProperty(
      'toolConfig',
    );
  });

  it('describes a tool without description or parameters', () => {
    const bare = { type: 'function', function: { name: 'now', description: ' ' } };
    expect(converseRequestOf({ messages: HELLO, tools: [bare] }).toolConfig?.tools).toEqual([
      { toolSpec: { name: 'now', inputSchema: { json: { type: 'object', properties: {} } } } },
    ]);
  });

  it('keeps its limits, in Converse’s bounds', () => {
    const limits = { max_tokens: 9, max_completion_tokens: 8, temperature: 1.7, top_p: 0.5, stop: 'END' };
    expect(converseRequestOf({ messages: HELLO, ...limits }).inferenceConfig).toEqual({
      maxTokens: 8,
      temperature: 1,
      topP: 0.5,
      stopSequences: ['END'],
    });
    expect(converseRequestOf({ messages: HELLO, max_tokens: 9, stop: ['A', 'B'] }).inferenceConfig).toEqual({
      maxTokens: 9,
      stopSequences: ['A', 'B'],
    });
    expect(converseRequestOf({ messages: HELLO, temperature: null, stop: null })).not.toHaveProperty('inferenceConfig');
  });

  it('asks for its schema', () => {
    const format = { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: { type: 'object' } } };
    expect(converseRequestOf({ messages: HELLO, response_format: format }).outputConfig).toEqual({
      textFormat: { type: 'json_schema', structure: { jsonSchema: { schema: '{"type":"object"}', name: 'person' } } },
    });
  });

  it('leaves wishes out that Converse does not know', () => {
    const wishes = {
      n: 1,
      seed: 7,
      user: 'me',
      store: false,
      logprobs: false,
      logit_bias: {},
      modalities: ['text'],
      presence_penalty: 0.5,
      parallel_tool_calls: true,
      response_format: { type: 'text' },
      stream_options: { include_usage: true },
      top_k: 3,
    };
    expect(converseRequestOf({ model: 'm', stream: true, messages: HELLO, ...wishes })).toEqual({
      messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
    });
  });

  const image = (url: unknown) => ({ messages: [user([{ type: 'image_url', image_url: { url } }])] });
  const used = [user('x'), { role: 'assistant', tool_calls: [call('a', '{}')] }, { role: 'tool', tool_call_id: 'a' }];
  it.each<[string, object]>([
    ['n', { messages: HELLO, n: 2 }],
    ['best_of', { messages: HELLO, best_of: 2 }],
    ['logprobs', { messages: HELLO, logprobs: true }],
    ['logit_bias', { messages: HELLO, logit_bias: { 50256: -100 } }],
    ['modalities', { messages: HELLO, modalities: ['text', 'audio'] }],
    ['functions', { messages: HELLO, functions: [{ name: 'f' }] }],
    ['guided_json', { messages: HELLO, guided_json: {} }],
    ['response_format', { messages: HELLO, response_format: { type: 'json_object' } }],
    ['response_format', { messages: HELLO, response_format: { type: 'json_schema' } }],
    ['parallel_tool_calls', { messages: HELLO, tools: [SEARCH], parallel_tool_calls: false }],
    ['tools[0]', { messages: HELLO, tools: [{ type: 'custom', custom: { name: 'c' } }] }],
    ['tool_choice', { messages: HELLO, tools: [SEARCH], tool_choice: { type: 'allowed_tools' } }],
    ['tool_choice', { messages: used, tools: [SEARCH], tool_choice: 'none' }],
    ['tools', { messages: used }],
    ['messages', { messages: [{ role: 'assistant', content: 'Hi' }] }],
    ['messages', { messages: [user(' ')] }],
    ['messages', { messages: [{ role: 'system', content: 'Be brief.' }] }],
    ['messages[0]', { messages: [3] }],
    ['messages[0].role', { messages: [{ role: 'function', name: 'f', content: 'x' }] }],
    ['messages[0].content', { messages: [user(3)] }],
    ['messages[0].content[0]', { messages: [user(['x'])] }],
    ['messages[0].content[0].type', { messages: [user([{ type: 'input_audio', input_audio: {} }])] }],
    ['messages[0].content[0].text', { messages: [user([{ type: 'text', text: 3 }])] }],
    ['messages[0].content[0].image_url.url', image('https://example.com/cat.png')],
    ['messages[0].content[0].image_url.url', image('data:image/svg+xml;base64,PHN2Zz4=')],
    ['messages[0].content[0].image_url.url', image('data:image/png,raw')],
    ['messages[0].content[0].image_url.url', image(undefined)],
    ['messages[1].tool_calls', { messages: [user('x'), { role: 'assistant', tool_calls: {} }] }],
    ['messages[1].tool_calls[0]', { messages: [user('x'), { role: 'assistant', tool_calls: [{}] }] }],
    [
      'messages[1].tool_calls[0].function.arguments',
      { messages: [user('x'), { role: 'assistant', tool_calls: [call('a', '{"q":')] }] },
    ],
    ['messages[1].function_call', { messages: [user('x'), { role: 'assistant', function_call: { name: 'f' } }] }],
    ['messages[1].tool_call_id', { messages: [user('x'), { role: 'tool', content: 'x' }] }],
  ])('is left to another backend for its %s', (param, body) => {
    let fault: unknown;
    try {
      converseRequestOf(body as Record<string, unknown>);
    } catch (error) {
      fault = error;
    }
    expect(fault).toBeInstanceOf(UnsuitedBackend);
    expect(fault).toMatchObject({ param, message: expect.stringMatching(/\.$/) as unknown });
  });

  it('of any shape is translated or refused, never a crash', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.jsonValue(), fc.jsonValue(), (messages, tools, format) => {
        try {
          converseRequestOf({ messages, tools, tool_choice: format, response_format: format, stop: tools });
        } catch (error) {
          expect(error).toBeInstanceOf(UnsuitedBackend);
        }
      }),
    );
  });
});
