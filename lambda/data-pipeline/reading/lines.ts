/** A line without its line end, or only its length where it is longer than may be held. */
export interface Line {
  readonly offset: number;
  readonly bytes: number;
  /** Absent for a line that is too long. */
  readonly content?: Buffer;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * The lines that begin at `from` or later, and before `to`. What precedes the first line feed belongs to a line that began
 * before, and to whoever reads that range; the last line is read to its end, beyond `to`. So ranges that meet give each
 * line once.
 *
 * A line above `mostBytes` is passed over, whatever its length, in the memory of one piece.
 */
export async function* linesOf(
  read: (from: number, to: number) => AsyncIterable<Buffer>,
  range: { readonly from: number; readonly to: number; readonly fileBytes: number },
  mostBytes: number,
): AsyncGenerator<Line[]> {
  // The byte before tells whether a line begins at `from` itself.
  const start = Math.max(0, range.from - 1);
  let skipping = range.from > 0;
  let lineStart = start;
  let position = start;
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const piece of read(start, range.fileBytes)) {
    const lines: Line[] = [];
    let next = 0;
    while (next < piece.length) {
      const feed = piece.indexOf(LINE_FEED, next);
      const end = feed < 0 ? piece.length : feed;
      const bytes = position + end - lineStart;
      if (!skipping && bytes <= mostBytes + 1) {
        if (end > next) held.push(piece.subarray(next, end));
        heldBytes += end - next;
      } else {
        held = [];
        heldBytes = 0;
      }
      if (feed < 0) break;
      if (!skipping) lines.push(lineFrom(lineStart, bytes, held, heldBytes, mostBytes));
      skipping = false;
      held = [];
      heldBytes = 0;
      next = feed + 1;
      lineStart = position + next;
      if (lineStart >= range.to) {
        if (lines.length > 0) yield lines;
        return;
      }
    }
    // What is held must not keep the whole piece alive, nor be changed by a source that reuses its buffer.
    held = held.map((part) => (part.buffer === piece.buffer ? Buffer.from(part) : part));
    position += piece.length;
    if (lines.length > 0) yield lines;
  }
  if (!skipping && position > lineStart) yield [lineFrom(lineStart, position - lineStart, held, heldBytes, mostBytes)];
}

function lineFrom(offset: number, bytes: number, held: Buffer[], heldBytes: number, mostBytes: number): Line {
  if (heldBytes !== bytes) return { offset, bytes };
  const content = held.length === 1 ? held[0]! : Buffer.concat(held);
  const text = content.at(-1) === CARRIAGE_RETURN ? content.subarray(0, -1) : content;
  return text.length > mostBytes ? { offset, bytes } : { offset, bytes, content: text };
}
