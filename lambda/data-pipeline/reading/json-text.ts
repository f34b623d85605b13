/**
 * What is lost of valid JSON when it is parsed: fields that are named twice, and numbers that become others. Texts are passed
 * over by a loop, since a regular expression keeps a note of each of their characters, of which ten million exhaust the stack.
 */

const QUOTE = '"';
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/** Whole numbers of at least this size are not all numbers of 64 bits. */
const FIRST_INEXACT = 2 ** 53;

const NUMBER = /-?(\d+)(?:\.(\d+))?([eE][+-]?\d+)?/g;

/** How many names of fields stand in the text. */
export function namesIn(json: string): number {
  let names = 0;
  for (let start = json.indexOf(QUOTE); start >= 0;) {
    const end = endOfText(json, start);
    if (isName(json, end)) names++;
    start = json.indexOf(QUOTE, end);
  }
  return names;
}

/** How many fields the objects have that the value is made of. */
export function fieldsOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let fields = 0;
  if (Array.isArray(value)) {
    for (const item of value) fields += fieldsOf(item);
    return fields;
  }
  const inner = Object.values(value);
  for (const field of inner) fields += fieldsOf(field);
  return fields + inner.length;
}

/** The first name that an object has twice. Slower than to count. @throws where there is none */
export function nameGivenTwice(json: string): string {
  const open: Set<string>[] = [];
  let from = 0;
  for (let start = json.indexOf(QUOTE); start >= 0; start = json.indexOf(QUOTE, from)) {
    for (const brace of json.slice(from, start).match(/[{}]/g) ?? []) {
      if (brace === '{') open.push(new Set());
      else open.pop();
    }
    from = endOfText(json, start);
    if (!isName(json, from)) continue;
    const name = JSON.parse(json.slice(start, from)) as string;
    if (open.at(-1)!.has(name)) return name;
    open.at(-1)!.add(name);
  }
  throw new Error('no field is named twice');
}

/** The first number that would become another, infinite or nothing, shortened. What a fraction has too many is rounded. */
export function inexactNumberIn(json: string): string | undefined {
  let from = 0;
  while (from < json.length) {
    const quote = json.indexOf(QUOTE, from);
    const start = quote < 0 ? json.length : quote;
    for (const [token, whole, fraction = '', exponent] of json.slice(from, start).matchAll(NUMBER)) {
      if (isKept(Math.abs(Number(token)), whole!, fraction, exponent)) continue;
      return token.length > 24 ? `a number of ${token.length} characters` : `the number ${token}`;
    }
    from = quote < 0 ? start : endOfText(json, start);
  }
  return undefined;
}

function isKept(value: number, whole: string, fraction: string, exponent: string | undefined): boolean {
  if (!Number.isFinite(value)) return false;
  if (value === 0) return !/[1-9]/.test(whole + fraction);
  return exponent !== undefined || value < FIRST_INEXACT || BigInt(whole) === BigInt(value);
}

/** Where the text that begins with the quote at `start` ends: behind its other quote. */
function endOfText(json: string, start: number): number {
  for (let end = json.indexOf(QUOTE, start + 1); ; end = json.indexOf(QUOTE, end + 1)) {
    let before = end;
    while (json.charCodeAt(before - 1) === BACKSLASH) before--;
    if ((end - before) % 2 === 0) return end + 1;
  }
}

/** Whether the text that ends before `end` is the name of a field. */
function isName(json: string, end: number): boolean {
  let next = end;
  while (json.charCodeAt(next) <= 0x20) next++;
  return json.charCodeAt(next) === COLON;
}
