import type { Bytes } from './command';

/**
 * Whether a text matches a pattern as Redis means it: `*`, `?`, `[a-c]`, `[^a]`, and `\` before a character that is meant
 * as it is. A list that nobody ends goes to the end of the pattern.
 */
export function matchesGlob(pattern: Bytes, text: Bytes): boolean {
  let p = 0;
  let t = 0;
  // Where the latest star stands, and how far it reaches so far: a mismatch lets it take one character more.
  let star: { readonly pattern: number; text: number } | undefined;
  for (;;) {
    if (pattern[p] === '*') {
      star = { pattern: ++p, text: t };
      continue;
    }
    if (t === text.length && p === pattern.length) return true;
    const next = t < text.length && p < pattern.length ? matchOne(pattern, p, text[t]!) : undefined;
    if (next !== undefined) {
      p = next;
      t += 1;
    } else if (star && star.text < text.length) {
      star.text += 1;
      p = star.pattern;
      t = star.text;
    } else {
      return false;
    }
  }
}

/** Where the pattern goes on after one character; undefined where that does not match. */
function matchOne(pattern: Bytes, at: number, character: string): number | undefined {
  switch (pattern.charAt(at)) {
    case '?':
      return at + 1;
    case '[':
      return matchList(pattern, at + 1, character);
    case '\\': {
      const meant = at + 1 < pattern.length ? at + 1 : at;
      return pattern[meant] === character ? meant + 1 : undefined;
    }
    default:
      return pattern[at] === character ? at + 1 : undefined;
  }
}

function matchList(pattern: Bytes, start: number, character: string): number | undefined {
  const isNegated = pattern[start] === '^';
  let at = isNegated ? start + 1 : start;
  let isMember = false;
  while (at < pattern.length && pattern[at] !== ']') {
    if (pattern[at] === '\\' && at + 1 < pattern.length) {
      isMember ||= pattern[at + 1] === character;
      at += 2;
    } else if (pattern[at + 1] === '-' && at + 2 < pattern.length) {
      const [low, high] = [pattern[at]!, pattern[at + 2]!].sort() as [string, string];
      isMember ||= character >= low && character <= high;
      at += 3;
    } else {
      isMember ||= pattern[at] === character;
      at += 1;
    }
  }
  return isMember === isNegated ? undefined : Math.min(at + 1, pattern.length);
}
