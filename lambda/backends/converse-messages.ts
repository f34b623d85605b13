import { createHash } from 'node:crypto';
import { UnsuitedBackend } from '../gateway/backend-port';
import { isRecord } from '../gateway/http-event';

/** A part of a message, as Converse has it: an object with one field, which says what it is. */
export type ContentBlock = Readonly<Record<string, unknown>>;

/** A message of a conversation, as Converse has it. */
export interface ConverseMessage {
  readonly role: 'user' | 'assistant';
  readonly content: ContentBlock[];
}

/** A conversation: what the model is told beforehand, and what was said. */
export interface Conversation {
  readonly system: readonly ContentBlock[];
  readonly messages: readonly ConverseMessage[];
}

type Part = Readonly<Record<string, unknown>>;

/** The images that Converse takes, by their media type. */
const IMAGE_FORMAT: Readonly<Record<string, string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpeg',
  'image/jpg': 'jpeg',
  'image/gif': 'gif',
  'image/webp': 'webp',
};

/** Ids of tool calls that Converse takes as they are. */
const TOOL_USE_ID = /^[a-zA-Z0-9_-]{1,64}$/;

/** Stands for a tool's empty answer: Converse refuses blank text, and a call without an answer. */
const NO_OUTPUT = '(no output)';

/**
 * Translates the messages of a chat. Converse keeps what the model is told beforehand apart, so all system and developer
 * messages go there, wherever they stood. It wants user and assistant to take turns, so messages that follow each other
 * in one role become one; and it refuses blank text, which is left out.
 *
 * @throws UnsuitedBackend for what Converse has no form for, or could not have said
 */
export function conversationOf(messages: readonly unknown[]): Conversation {
  const system: ContentBlock[] = [];
  const turns: ConverseMessage[] = [];
  messages.forEach((message, index) => {
    const at = `messages[${index}]`;
    if (!isRecord(message)) throw new UnsuitedBackend(`${at} must be an object.`, at);
    if (message.role === 'system' || message.role === 'developer') {
      system.push(...textBlocks(message.content, `${at}.content`));
      return;
    }
    const { role, content } = turnOf(message, at);
    const last = turns.at(-1);
    if (content.length === 0) return;
    if (last?.role === role) last.content.push(...content);
    else turns.push({ role, content });
  });
  if (turns[0]?.role !== 'user') {
    throw new UnsuitedBackend('A conversation must begin with a message of the user that is not blank.', 'messages');
  }
  return { system, messages: turns };
}

function turnOf(message: Part, at: string): ConverseMessage {
  switch (message.role) {
    case 'user':
      return { role: 'user', content: partsOf(message.content, `${at}.content`).flatMap(userBlocks) };
    case 'assistant':
      if (message.function_call != null) throw unsupported(`${at}.function_call`);
      return {
        role: 'assistant',
        content: [...textBlocks(message.content, `${at}.content`), ...toolUses(message.tool_calls, `${at}.tool_calls`)],
      };
    case 'tool':
      return { role: 'user', content: [toolResult(message, at)] };
    default:
      throw unsupported(`${at}.role`);
  }
}

/** A message's content as a list of parts, each with its place in the request. */
function partsOf(content: unknown, at: string): { part: Part; at: string }[] {
  if (content == null) return [];
  if (typeof content === 'string') return [{ part: { type: 'text', text: content }, at }];
  if (!Array.isArray(content)) throw unsupported(at);
  return content.map((part: unknown, index) => {
    if (!isRecord(part)) throw unsupported(`${at}[${index}]`);
    return { part, at: `${at}[${index}]` };
  });
}

function userBlocks({ part, at }: { part: Part; at: string }): ContentBlock[] {
  return part.type === 'image_url' ? [imageBlock(part.image_url, `${at}.image_url`)] : textBlock(part, at);
}

function textBlocks(content: unknown, at: string): ContentBlock[] {
  return partsOf(content, at).flatMap(({ part, at: place }) => textBlock(part, place));
}

function textBlock(part: Part, at: string): ContentBlock[] {
  const text = part.type === 'text' ? part.text : part.type === 'refusal' ? part.refusal : undefined;
  if (typeof text !== 'string') throw unsupported(part.type === 'text' ? `${at}.text` : `${at}.type`);
  return text.trim() === '' ? [] : [{ text }];
}

function imageBlock(image: unknown, at: string): ContentBlock {
  const url = isRecord(image) ? image.url : undefined;
  // A pattern would walk megabytes of base64 once more.
  const comma = typeof url === 'string' && url.startsWith('data:') ? url.indexOf(',') : -1;
  const [type = '', encoding] = comma < 0 ? [] : (url as string).slice('data:'.length, comma).split(';');
  const format = IMAGE_FORMAT[type.toLowerCase()];
  if (format === undefined || encoding !== 'base64') {
    throw new UnsuitedBackend(
      `${at}.url must be a data: URL of a PNG, JPEG, GIF or WebP image in base64; images are not fetched by their address.`,
      `${at}.url`,
    );
  }
  return { image: { format, source: { bytes: (url as string).slice(comma + 1) } } };
}

function toolUses(calls: unknown, at: string): ContentBlock[] {
  if (calls == null) return [];
  if (!Array.isArray(calls)) throw unsupported(at);
  return calls.map((call: unknown, index) => {
    const here = `${at}[${index}]`;
    const called = isRecord(call) && isRecord(call.function) ? call.function : undefined;
    if (!isRecord(call) || typeof call.id !== 'string' || typeof called?.name !== 'string') throw unsupported(here);
    const input = inputOf(called.arguments, `${here}.function.arguments`);
    return { toolUse: { toolUseId: toolUseId(call.id), name: called.name, input } };
  });
}

/** OpenAI has a call's arguments as text that a model wrote, Converse as an object. */
function inputOf(text: unknown, at: string): Record<string, unknown> {
  if (text == null || text === '') return {};
  try {
    const input: unknown = typeof text === 'string' ? JSON.parse(text) : text;
    if (isRecord(input)) return input;
  } catch {
    // Told below.
  }
  throw new UnsuitedBackend(`${at} must be a JSON object.`, at);
}

function toolResult({ tool_call_id: id, content }: Part, at: string): ContentBlock {
  if (typeof id !== 'string') throw unsupported(`${at}.tool_call_id`);
  const blocks = textBlocks(content, `${at}.content`);
  return { toolResult: { toolUseId: toolUseId(id), content: blocks.length > 0 ? blocks : [{ text: NO_OUTPUT }] } };
}

/** An id only ties a call to its answer, so another one does as well. */
function toolUseId(id: string): string {
  return TOOL_USE_ID.test(id) ? id : createHash('sha256').update(id).digest('hex');
}

function unsupported(field: string): UnsuitedBackend {
  return new UnsuitedBackend(`${field} holds what Amazon Bedrock's Converse does not take.`, field);
}
