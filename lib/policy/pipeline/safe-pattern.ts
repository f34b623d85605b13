/** In how many ways alternatives and bounded repetitions may be combined to take one text. */
const MOST_CHOICES = 4096;

/** The same beside a repetition without an upper bound, which may go through the whole text in each of them. */
const MOST_CHOICES_EACH_OF_ALL = 256;

/**
 * Records are a stranger's text, and a backtracking regular expression can be made to run for hours by one. A pattern is
 * taken where its time grows with the length of the text alone: from the start of the text, no group that repeats, no
 * look-around, no back-reference, one repetition without an upper bound, and a bound on what alternatives, options and
 * bounded repetitions come to.
 */
export function patternFault(pattern: string): string | undefined {
  try {
    new RegExp(pattern, 'u');
  } catch (error) {
    return `is no regular expression: ${(error as Error).message}`;
  }
  // What stands in brackets or behind a backslash is one character and repeats nothing by itself.
  const bare = pattern
    .replace(/\\[pP]\{[^}]*\}|\\u\{[^}]*\}/g, 'x')
    .replace(/\\[1-9]|\\k</g, '\u0001')
    .replace(/\\[^]/g, 'x')
    .replace(/\[[^\]]*\]/g, 'x');
  const unsafe = (reason: string) => `can take very long on some texts: ${reason}; write a simpler one`;
  if (!bare.startsWith('^')) return unsafe('it must begin with ^');
  if (bare.includes('\u0001')) return unsafe('it refers back to a group');
  if (/\(\?(?:=|!|<=|<!)/.test(bare)) return unsafe('it looks around');
  if (/\)(?:[*+]|\{)/.test(bare)) return unsafe('it repeats a group');
  if (withoutGroups(bare).includes('|')) return unsafe('it has an alternative outside a group');
  const unbounded = (bare.match(/[*+]|\{\d+,\}/g) ?? []).length;
  if (unbounded > 1) return unsafe('more than one repetition has no upper bound');
  const repetitions = [...bare.matchAll(/\{(\d+),(\d+)\}/g)].map(([, low, high]) => Number(high) - Number(low) + 1);
  const optional = (bare.match(/(?<![(+*?}])\?/g) ?? []).length;
  const choices = [...repetitions, ...alternativesIn(bare)].reduce((product, each) => product * each, 2 ** optional);
  const most = unbounded > 0 ? MOST_CHOICES_EACH_OF_ALL : MOST_CHOICES;
  if (choices > most) return unsafe(`its alternatives and repetitions combine in more than ${most} ways`);
  return undefined;
}

function withoutGroups(pattern: string): string {
  const stripped = pattern.replace(/\([^()]*\)/g, '');
  return stripped === pattern ? stripped : withoutGroups(stripped);
}

/** How many alternatives each group has. */
function alternativesIn(pattern: string): number[] {
  const open: number[] = [];
  const closed: number[] = [];
  for (const character of pattern) {
    if (character === '(') open.push(1);
    else if (character === '|') open.push(open.pop()! + 1);
    else if (character === ')') closed.push(open.pop()!);
  }
  return closed;
}
