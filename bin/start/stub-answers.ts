import { createHash } from 'node:crypto';

/** What the model stub says, as pure functions: the same request always has the same answer. */

/** The fields of a request that the stub looks at. */
export interface StubRequest {
  readonly model?: string;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly n?: number;
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly messages?: readonly { readonly role: string; readonly content: unknown }[];
  readonly prompt?: unknown;
  readonly input?: unknown;
  readonly encoding_format?: string;
  readonly dimensions?: number;
}

/** A text answer: a token is a word with the space before it. */
export interface StubAnswer {
  readonly promptTokens: number;
  readonly tokens: readonly string[];
  readonly finishReason: 'stop' | 'length';
}

/** Vector length where the request names none: that of bge-m3. */
const DIMENSIONS = 1024;

/** How much of the question comes back in the answer. */
const ECHOED_CHARACTERS = 200;

/** Answers a chat or completion request. */
export function answerText(backend: string, request: StubRequest): StubAnswer {
  const prompt = request.messages ? contentText(request.messages.at(-1)?.content) : contentText(request.prompt);
  const all = (request.messages ?? []).map((message) => contentText(message.content)).join(' ') || prompt;
  const said = prompt.length > ECHOED_CHARACTERS ? `${prompt.slice(0, ECHOED_CHARACTERS)}…` : prompt;
  const tokens = tokensOf(`This is ${backend}, a model stub. You said: ${said}`);
  const most = request.max_completion_tokens ?? request.max_tokens ?? Infinity;
  return {
    promptTokens: tokensOf(all).length,
    tokens: tokens.slice(0, most),
    finishReason: tokens.length > most ? 'length' : 'stop',
  };
}

/** One vector of length 1 for each input: equal for equal words, near for nearly equal ones, else unrelated. */
export function embed(request: StubRequest): { vectors: Float32Array[]; promptTokens: number } {
  const inputs = inputTexts(request.input);
  return {
    vectors: inputs.map((input) => vectorOf(input, request.dimensions ?? DIMENSIONS)),
    promptTokens: inputs.reduce((sum, input) => sum + tokensOf(input).length, 0),
  };
}

/** A vector as the API sends it: numbers, or their little-endian bytes in base64, the official client's default. */
export function encodeVector(vector: Float32Array, format: string | undefined): number[] | string {
  return format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector];
}

/** Words that say little of what a text is about. */
const COMMON_WORDS: ReadonlySet<string> = new Set(
  (
    'a about all also an and any are as at be been but by can could do does each for from has have how i if in into is it its ' +
    'may more most must my no not of on one only or other our should so such than that the their them then there these ' +
    'they this to up use used using was we what when where which who why will with would you your'
  ).split(' '),
);

/** What a common word weighs, where another weighs 1. */
const COMMON_WEIGHT = 0.1;

/** The sum of the vectors of the text's words, in whatever case, number and order. */
function vectorOf(text: string, dimensions: number): Float32Array {
  const counts = new Map<string, number>();
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text]) {
    const stem = COMMON_WORDS.has(word) ? word : word.replace(/(?<=\p{L}{3})(?:ies|y|es|s|ing|ed)$/u, '');
    counts.set(stem, (counts.get(stem) ?? 0) + 1);
  }
  const vector = new Float32Array(dimensions);
  for (const [word, count] of counts) {
    const direction = directionOf(word, dimensions);
    // A word that comes often says not much more than one that comes once.
    const weight = (COMMON_WORDS.has(word) ? COMMON_WEIGHT : 1) * (1 + Math.log(count));
    for (let i = 0; i < dimensions; i++) vector[i]! += weight * direction[i]!;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

/** Directions of words already met: hashing a word takes a hundred times as long as adding it. */
const directions = new Map<string, Float32Array>();

/** 32 MB at 1024 dimensions. */
const MOST_DIRECTIONS = 8192;

function directionOf(word: string, dimensions: number): Float32Array {
  const key = `${dimensions}:${word}`;
  const known = directions.get(key);
  if (known) return known;
  const direction = new Float32Array(dimensions);
  for (let start = 0; start < dimensions; start += 8) {
    const block = createHash('sha256').update(`${start}:${word}`).digest();
    for (let i = 0; i < 8 && start + i < dimensions; i++) direction[start + i] = block.readInt32LE(i * 4) / 2 ** 31;
  }
  if (directions.size >= MOST_DIRECTIONS) directions.clear();
  directions.set(key, direction);
  return direction;
}

/** `input` is a text, a list of texts, a list of token numbers, or a list of those. */
function inputTexts(input: unknown): string[] {
  if (!Array.isArray(input)) return [contentText(input)];
  if (input.every((item) => typeof item === 'number')) return [input.join(' ')];
  return input.map((item: unknown) => (Array.isArray(item) ? item.join(' ') : contentText(item)));
}

/** Message content is a text or a list of parts. */
function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part: unknown) => (typeof part === 'string' ? part : textPart(part))).join(' ');
}

function textPart(part: unknown): string {
  const { text } = (part ?? {}) as { text?: unknown };
  return typeof text === 'string' ? text : '';
}

function tokensOf(text: string): string[] {
  return text.match(/\s*\S+/g) ?? [];
}
