/**
 * UTF-8 bytes of a token: on the safe side for English (about 4), and right for code and for Chinese, where counting
 * characters is off by a factor of three. The true number is settled after the answer.
 */
const BYTES_PER_TOKEN = 3.5;

/** OpenAI's charge for an image of 1024 × 1024 in high detail; open models of today are near it. */
const TOKENS_PER_IMAGE = 765;

/** Tokens of so many bytes of text. */
export function tokensOfBytes(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}

/** Tokens of a chat's messages and of the tools that the model is told about. */
export function tokensOfChat(messages: readonly unknown[], tools: unknown): number {
  const parts = messages.flatMap((message) => {
    if (!isObject(message)) return [];
    const content = Array.isArray(message.content) ? (message.content as unknown[]) : [message.content];
    return message.tool_calls === undefined ? content : [...content, JSON.stringify(message.tool_calls)];
  });
  const text = parts.reduce<number>((bytes, part) => bytes + bytesOfPart(part), 0);
  const toolBytes = tools == null ? 0 : Buffer.byteLength(JSON.stringify(tools));
  const media = parts.filter((part) => isObject(part) && typeof part.text !== 'string').length;
  return tokensOfBytes(text + toolBytes) + media * TOKENS_PER_IMAGE;
}

/** Tokens of a completion's prompt or of an embedding's input, and the number of separate texts in it. */
export function tokensOfPrompt(prompt: unknown): { readonly tokens: number; readonly texts: number } {
  if (typeof prompt === 'string') return { tokens: tokensOfBytes(Buffer.byteLength(prompt)), texts: 1 };
  if (!Array.isArray(prompt)) return { tokens: 0, texts: 1 };
  const items = prompt as unknown[];
  // A list of numbers is one text that the client has cut into tokens itself.
  if (items.every((item) => typeof item === 'number')) return { tokens: items.length, texts: 1 };
  const tokens = items.reduce<number>((sum, item) => sum + tokensOfPrompt(item).tokens, 0);
  return { tokens, texts: items.length };
}

function bytesOfPart(part: unknown): number {
  if (typeof part === 'string') return Buffer.byteLength(part);
  return isObject(part) && typeof part.text === 'string' ? Buffer.byteLength(part.text) : 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
