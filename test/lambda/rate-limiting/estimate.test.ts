import { describe, expect, it } from '@jest/globals';
import { tokensOfChat, tokensOfPrompt } from '../../../lambda/rate-limiting/estimate';

describe('the estimate', () => {
  it('counts UTF-8 bytes, so that Chinese is not taken for a third of what it is', () => {
    expect(tokensOfPrompt('a'.repeat(35)).tokens).toBe(10);
    expect(tokensOfPrompt('模'.repeat(35)).tokens).toBe(30);
  });

  it('takes token numbers as they are and adds up lists of texts', () => {
    expect(tokensOfPrompt([1, 2, 3])).toEqual({ tokens: 3, texts: 1 });
    expect(tokensOfPrompt([[1, 2], [3]])).toEqual({ tokens: 3, texts: 2 });
    expect(tokensOfPrompt(['abcdefg', ''])).toEqual({ tokens: 2, texts: 2 });
  });

  it('counts messages, text parts, tools and tool calls, and images at a flat rate', () => {
    const messages = [
      { role: 'system', content: 'abcdefg' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'abcdefg' },
          { type: 'image_url', image_url: { url: 'data:x' } },
        ],
      },
      { role: 'assistant', content: null, tool_calls: ['abc'] },
    ];
    expect(tokensOfChat(messages, undefined)).toBe(Math.ceil((14 + 7) / 3.5) + 765);
    expect(tokensOfChat([], [{ a: 1 }])).toBe(3);
  });
});
