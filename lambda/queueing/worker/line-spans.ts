import type { ItemMessage } from '../item';

/** Items next to each other in one object, which are read at once. */
export interface Span {
  readonly input: string;
  readonly offset: number;
  readonly length: number;
  readonly items: readonly ItemMessage[];
}

/** A gap up to this size costs less than a second request. */
const MOST_GAP_BYTES = 64 * 1024;

/** No more than this at once, however near the lines are, except for one line that is longer. */
const MOST_SPAN_BYTES = 8 * 1024 * 1024;

/** The parts of the inputs to read so that every item has its line. */
export function spansOf(items: readonly ItemMessage[]): readonly Span[] {
  const sorted = [...items].sort((a, b) => (a.input === b.input ? a.offset - b.offset : a.input < b.input ? -1 : 1));
  const spans: Span[] = [];
  for (const item of sorted) {
    const last = spans.at(-1);
    const end = item.offset + item.length;
    const isNear =
      last?.input === item.input &&
      item.offset - (last.offset + last.length) <= MOST_GAP_BYTES &&
      end - last.offset <= MOST_SPAN_BYTES;
    if (isNear) {
      const length = Math.max(last.length, end - last.offset);
      spans[spans.length - 1] = { ...last, length, items: [...last.items, item] };
    } else {
      spans.push({ input: item.input, offset: item.offset, length: item.length, items: [item] });
    }
  }
  return spans;
}

/** An item's line, from the bytes of the span that it is part of. */
export function lineIn(span: Pick<Span, 'offset'>, bytes: Uint8Array, item: ItemMessage): Uint8Array {
  const start = item.offset - span.offset;
  return bytes.subarray(start, start + item.length);
}
