import type { Sketch } from './sketch';

/** A comparison of two distributions. */
export interface Stability {
  /** Population stability index: Σ (p − q) · ln(p / q) over the groups. 0 for equal distributions. */
  readonly index: number;
  /** What the index stays below by chance alone where nothing has changed, with a probability of 1 − 10⁻⁵. */
  readonly byChance: number;
}

const GROUPS = 10;

/** The normal distribution's quantile of 1 − 10⁻⁵. */
const Z = 4.265;

/**
 * The population stability index of a distribution against a pinned one. Bins are grouped into about ten groups of equal
 * share of the pinned distribution; texts that the pinned distribution lacks are a group of their own.
 *
 * By chance alone the index is about (1/n + 1/m) times a χ² variable with one degree of freedom less than there are groups,
 * which is what small versions need to be told apart from drift. Undefined where one of the two is empty.
 */
export function stabilityOf(pinned: Sketch, current: Sketch): Stability | undefined {
  if (pinned.count === 0 || current.count === 0 || pinned.kind !== current.kind) return undefined;
  const groups = groupsOf(pinned, current);
  const index = stabilityIndex(groups.map(({ current: p, pinned: q }) => [p, q]));
  const freedom = Math.max(1, groups.length - 1);
  return { index, byChance: chiSquareQuantile(freedom) * (1 / pinned.count + 1 / current.count) };
}

/**
 * The population stability index of counts by group: the sum of (p − q)·ln(p/q), for the shares p and q of either side.
 * Half a record more in each group keeps an empty one's logarithm finite, and weighs less the more records there are.
 */
export function stabilityIndex(groups: readonly (readonly [number, number])[]): number {
  const half = groups.length / 2;
  const totals = groups.reduce(([p, q], group) => [p + group[0], q + group[1]], [half, half]);
  return groups.reduce((sum, group) => {
    const [p, q] = [(group[0] + 0.5) / totals[0], (group[1] + 0.5) / totals[1]];
    return sum + (p - q) * Math.log(p / q);
  }, 0);
}

interface Group {
  pinned: number;
  current: number;
}

function groupsOf(pinned: Sketch, current: Sketch): Group[] {
  const names = [...new Set([...Object.keys(pinned.bins), ...Object.keys(current.bins)])];
  const order =
    pinned.kind === 'numbers'
      ? (a: string, b: string) => Number(a) - Number(b)
      : // The most frequent first, so that each of them is a group and the rare ones share theirs.
        (a: string, b: string) => (pinned.bins[b] ?? 0) - (pinned.bins[a] ?? 0) || Number(a) - Number(b);
  const groups: Group[] = [];
  let open: Group = { pinned: 0, current: 0 };
  for (const name of names.sort(order)) {
    open.pinned += pinned.bins[name] ?? 0;
    open.current += current.bins[name] ?? 0;
    if (open.pinned < pinned.count / GROUPS) continue;
    groups.push(open);
    open = { pinned: 0, current: 0 };
  }
  return open.pinned + open.current > 0 ? [...groups, open] : groups;
}

/** Wilson and Hilferty's approximation. */
function chiSquareQuantile(freedom: number): number {
  const part = 2 / (9 * freedom);
  return freedom * (1 - part + Z * Math.sqrt(part)) ** 3;
}
