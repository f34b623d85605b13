type Body = Readonly<Record<string, unknown>>;

/** A chat, taken apart for a look-up by meaning. */
export interface Comparable {
  /** What is compared by meaning: the text of the last message. */
  readonly text: string;
  /** What must be equal: the whole body, with nothing in the place of that text. */
  readonly rest: Body;
}

/**
 * Takes a chat apart; undefined for one that has nothing to compare: its last message is not the user's, holds something
 * besides text, or is empty.
 */
export function comparableOf(body: Body): Comparable | undefined {
  const messages = Array.isArray(body.messages) ? (body.messages as unknown[]) : [];
  const last = messages.at(-1);
  if (!isObject(last) || last.role !== 'user') return undefined;
  const parts = textsOf(last.content);
  const text = parts?.join('\n') ?? '';
  if (text.trim() === '') return undefined;
  // The form of the message stays: a text alone, or so many parts, with whatever they hold besides their text.
  const content =
    typeof last.content === 'string' ? '' : (last.content as Body[]).map((part) => ({ ...part, text: '' }));
  return { text, rest: { ...body, messages: [...messages.slice(0, -1), { ...last, content }] } };
}

function textsOf(content: unknown): string[] | undefined {
  if (typeof content === 'string') return [content];
  if (!Array.isArray(content)) return undefined;
  const texts = (content as unknown[]).flatMap((part) =>
    isObject(part) && part.type === 'text' && typeof part.text === 'string' ? [part.text] : [],
  );
  return texts.length === content.length ? texts : undefined;
}

function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
