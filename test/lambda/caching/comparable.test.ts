import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { digestOf, type KeyScope } from '../../../lambda/caching/cache-key';
import { comparableOf } from '../../../lambda/caching/comparable';

/** What must be equal for one question to stand for another; undefined where nothing may. */
function scopeOf(body: Record<string, unknown>, scope: KeyScope = { tenant: 'acme' }, stream = false, space = 'e') {
  const comparable = comparableOf(body);
  return comparable && digestOf({ scope, endpoint: 'chat', stream, body: comparable.rest }, ['similar', space]);
}

const chat = (before: readonly unknown[], text: string, fields: object = {}) => ({
  model: 'm',
  messages: [...before, { role: 'user', content: text }],
  ...fields,
});
const text = fc.string({ minLength: 1, unit: 'grapheme' }).filter((each) => each.trim() !== '');
const message = fc.record({ role: fc.constantFrom('system', 'user', 'assistant'), content: fc.string() });
const fields = fc.dictionary(
  fc.string({ minLength: 1 }).filter((name) => name !== 'messages' && name !== 'model'),
  fc.jsonValue(),
  { maxKeys: 3 },
);

describe('a chat that is looked up by meaning', () => {
  it('is compared with all that are equal but for the text of the last message, and with no other', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 3 }), text, text, fields, (before, a, b, rest) => {
        expect(scopeOf(chat(before, a, rest))).toBe(scopeOf(chat(before, b, rest)));
        const others = [
          scopeOf(chat([...before, { role: 'user', content: a }], b, rest)),
          scopeOf(chat([{ role: 'system', content: a }, ...before], a, rest)),
          scopeOf(chat(before, a, { ...rest, temperature: -1 })),
          scopeOf(chat(before, a, { ...rest, model: 'other' })),
          scopeOf(chat(before, a, rest), { tenant: 'other' }),
          scopeOf(chat(before, a, rest), { shared: 'acme' }),
          scopeOf(chat(before, a, rest), undefined, true),
          scopeOf(chat(before, a, rest), undefined, false, 'another embedding model'),
        ];
        expect(others).not.toContain(scopeOf(chat(before, a, rest)));
        expect(new Set(others).size).toBe(others.length);
      }),
    );
  });

  it('is compared by its words, and by nothing that its last message holds besides', () => {
    const parts = [
      { type: 'text', text: 'One' },
      { type: 'text', text: 'two', cache_control: { type: 'ephemeral' } },
    ];
    const asked = { messages: [{ role: 'user', content: parts, name: 'n' }] };
    expect(comparableOf(asked)).toEqual({
      text: 'One\ntwo',
      rest: {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: '' },
              { type: 'text', text: '', cache_control: { type: 'ephemeral' } },
            ],
            name: 'n',
          },
        ],
      },
    });
    expect(asked.messages[0]!.content[0]!.text).toBe('One');
    expect(scopeOf(asked)).not.toBe(scopeOf({ messages: [{ role: 'user', content: 'One\ntwo', name: 'n' }] }));
  });

  it.each([
    [{ messages: [] }],
    [{}],
    [{ messages: [{ role: 'assistant', content: 'Hi' }] }],
    [{ messages: [{ role: 'user', content: ' \n' }] }],
    [{ messages: [{ role: 'user', content: null }] }],
    [{ messages: [{ role: 'user', content: [] }] }],
    [{ messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] }],
    [{ messages: [{ role: 'user', content: [{ type: 'text', text: 'See' }, { type: 'image_url' }] }] }],
    [
      {
        messages: [
          { role: 'user', content: 'Hi' },
          { role: 'tool', content: 'Hi' },
        ],
      },
    ],
  ])('is not %j, which holds nothing to compare', (body) => {
    expect(comparableOf(body)).toBeUndefined();
  });
});
