/** A line of an input file, and where it stands. Lines of nothing but white space are none, yet they are counted. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** Where it begins, in bytes from the start of the object. */
  readonly offset: number;
  /** Bytes, without the line break. */
  readonly length: number;
  /** Where the next line begins. */
  readonly next: number;
  /** The line itself, until the next is asked for; absent where it is longer than allowed. */
  readonly bytes?: Uint8Array;
}

/** Where to begin: before the first line, unless another was read before. */
export interface ReadFrom {
  /** Lines before. */
  readonly line: number;
  /** Bytes before. */
  readonly offset: number;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const START: ReadFrom = { line: 0, offset: 0 };

/**
 * Cuts a stream into lines, in memory that depends on the longest allowed line and not on the stream: of a longer one
 * nothing is kept but its length. Lines end with a line feed, with or without a carriage return before it; the last may
 * end with the stream. A byte order mark at the start is passed over.
 *
 * @param chunks the stream, from `from.offset` on
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  maxLineBytes: number,
  from: ReadFrom = START,
): AsyncGenerator<Line> {
  let { line: number, offset } = from;
  // What stands before the current chunk of a line that it continues.
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      number += 1;
      const line = lineOf(number, offset, held, heldBytes, chunk.subarray(start, end), maxLineBytes);
      if (line) yield line;
      offset += heldBytes + end - start + 1;
      start = end + 1;
      [held, heldBytes] = [[], 0];
    }
    const rest = chunk.subarray(start);
    heldBytes += rest.length;
    // Room for a carriage return and a byte order mark, which do not count.
    if (heldBytes <= maxLineBytes + 4) held.push(rest);
    else held = [];
  }
  if (heldBytes === 0) return;
  const line = lineOf(number + 1, offset, held, heldBytes, new Uint8Array(0), maxLineBytes);
  if (line) yield { ...line, next: offset + heldBytes };
}

function lineOf(
  number: number,
  offset: number,
  held: readonly Uint8Array[],
  heldBytes: number,
  rest: Uint8Array,
  maxLineBytes: number,
): Line | undefined {
  const total = heldBytes + rest.length;
  const next = offset + total + 1;
  if (total > maxLineBytes + 4) return { number, offset, length: total, next };
  let bytes = held.length === 0 ? rest : Buffer.concat([...held, rest], total);
  if (bytes.at(-1) === CARRIAGE_RETURN) bytes = bytes.subarray(0, -1);
  const mark = offset === 0 && BYTE_ORDER_MARK.equals(bytes.subarray(0, 3)) ? 3 : 0;
  bytes = bytes.subarray(mark);
  if (isBlank(bytes)) return undefined;
  const place = { number, offset: offset + mark, length: bytes.length, next };
  return bytes.length > maxLineBytes ? place : { ...place, bytes };
}

/** Whether there is nothing but what JSON takes for white space. */
function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === CARRIAGE_RETURN);
}
