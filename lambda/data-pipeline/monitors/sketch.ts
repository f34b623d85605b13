/**
 * A distribution in bounded memory, the same whatever the order in which its values came and however it was put together.
 * Numbers fall into bins whose width grows with them, 8 to a doubling (9 % wide); texts into 256 bins by hash.
 */
export interface Sketch {
  readonly kind: 'numbers' | 'texts';
  readonly count: number;
  /** Counts by bin. */
  readonly bins: Readonly<Record<string, number>>;
}

const BINS_PER_DOUBLING = 8;
const TEXT_BINS = 256;
/** Numbers nearer to zero are zero, and larger ones are this: 2¹⁰⁰. */
const MOST_EXPONENT = 100;

/** A sketch that is being filled. */
export class SketchBuilder {
  private readonly bins = new Map<number, number>();
  private kind: Sketch['kind'] = 'numbers';
  private count = 0;

  public add(value: unknown): void {
    if (typeof value !== 'number' && typeof value !== 'string' && typeof value !== 'boolean') return;
    if (typeof value !== 'number') this.kind = 'texts';
    const bin = typeof value === 'number' ? binOfNumber(value) : binOfText(String(value));
    this.bins.set(bin, (this.bins.get(bin) ?? 0) + 1);
    this.count++;
  }

  public build(): Sketch {
    const sorted = [...this.bins].sort(([a], [b]) => a - b);
    return { kind: this.kind, count: this.count, bins: Object.fromEntries(sorted.map(([bin, n]) => [bin, n])) };
  }
}

/** Both distributions together. */
export function mergeSketches(a: Sketch, b: Sketch): Sketch {
  const bins: Record<string, number> = { ...a.bins };
  for (const [bin, count] of Object.entries(b.bins)) bins[bin] = (bins[bin] ?? 0) + count;
  return { kind: a.kind === 'texts' || b.kind === 'texts' ? 'texts' : 'numbers', count: a.count + b.count, bins };
}

/** The bin of a number: 0 for zero, its sign and place on a logarithmic scale for others. */
function binOfNumber(value: number): number {
  const size = Math.abs(value);
  if (size < 2 ** -MOST_EXPONENT) return 0;
  const place =
    Math.floor(Math.min(MOST_EXPONENT, Math.log2(size)) * BINS_PER_DOUBLING) + MOST_EXPONENT * BINS_PER_DOUBLING + 1;
  return value < 0 ? -place : place;
}

/** The middle of a bin of numbers. */
export function valueOfBin(bin: number): number {
  if (bin === 0) return 0;
  const size = 2 ** ((Math.abs(bin) - 1 - MOST_EXPONENT * BINS_PER_DOUBLING + 0.5) / BINS_PER_DOUBLING);
  return bin < 0 ? -size : size;
}

/** FNV-1a. */
function binOfText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % TEXT_BINS;
}

/** The value below which the share of the numbers lies, within 5 %; undefined for texts and where there are none. */
export function quantileOf({ kind, count, bins }: Sketch, share: number): number | undefined {
  if (kind === 'texts' || count === 0) return undefined;
  let below = 0;
  const sorted = Object.entries(bins).sort(([a], [b]) => Number(a) - Number(b));
  for (const [bin, inBin] of sorted) {
    below += inBin;
    if (below >= share * count) return valueOfBin(Number(bin));
  }
  return valueOfBin(Number(sorted.at(-1)![0]));
}
