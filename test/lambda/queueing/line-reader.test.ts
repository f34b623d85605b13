import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Line, readLines, type ReadFrom } from '../../../lambda/queueing/line-reader';

const MOST = 20;

async function* chunksOf(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes.length > 0 ? sizes[i % sizes.length]! : bytes.length;
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function read(bytes: Buffer, sizes: readonly number[] = [], from?: ReadFrom): Promise<readonly Line[]> {
  const lines: Line[] = [];
  for await (const line of readLines(chunksOf(bytes, sizes), MOST, from)) {
    lines.push({ ...line, ...(line.bytes && { bytes: Buffer.from(line.bytes) }) });
  }
  return lines;
}

const text = ({ bytes }: Line) => bytes && Buffer.from(bytes).toString();
const content = fc.string({ unit: fc.constantFrom('a', 'é', ' ', '\r', '{', '€'), maxLength: 14 });
const file = fc
  .tuple(fc.array(content, { maxLength: 12 }), fc.constantFrom('\n', '\r\n'), fc.boolean())
  .map(([lines, lineBreak, ends]) => Buffer.from(lines.join(lineBreak) + (ends ? lineBreak : '')));
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 5 });

describe('the lines of a stream', () => {
  it('are what stands between line breaks, however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(file, sizes, async (bytes, cuts) => {
        const expected = bytes
          .toString()
          .split('\n')
          .map((line, i) => ({ number: i + 1, text: line.endsWith('\r') ? line.slice(0, -1) : line }))
          .filter((line) => !/^[ \t\r]*$/.test(line.text) || Buffer.byteLength(line.text) > MOST);
        const lines = await read(bytes, cuts);
        expect(lines.map((line) => ({ number: line.number, text: text(line) }))).toEqual(
          expected.map((line) => ({ ...line, text: Buffer.byteLength(line.text) > MOST ? undefined : line.text })),
        );
      }),
    );
  });

  it('stand where they say', async () => {
    await fc.assert(
      fc.asyncProperty(file, sizes, async (bytes, cuts) => {
        for (const line of await read(bytes, cuts)) {
          if (line.bytes) expect(bytes.subarray(line.offset, line.offset + line.length).toString()).toBe(text(line));
          expect([0x0a, undefined]).toContain(bytes[line.next - 1] === 0x0a ? 0x0a : bytes[line.next]);
        }
      }),
    );
  });

  it('go on behind any line as if the ones before had been read', async () => {
    await fc.assert(
      fc.asyncProperty(file, sizes, async (bytes, cuts) => {
        const all = await read(bytes);
        for (const [i, { number: line, next: offset }] of all.entries()) {
          expect(await read(bytes.subarray(offset), cuts, { line, offset })).toEqual(all.slice(i + 1));
        }
      }),
    );
  });

  it('hold nothing of a line that is too long but its length', async () => {
    const long = 'x'.repeat(1000);
    const lines = await read(Buffer.from(`one\n${long}\ntwo`), [7]);
    expect(lines.map((line) => [line.number, line.offset, line.length, text(line)])).toEqual([
      [1, 0, 3, 'one'],
      [2, 4, 1000, undefined],
      [3, 1005, 3, 'two'],
    ]);
  });

  it('allow a line of exactly the most bytes, whatever ends it, and not one byte more', async () => {
    const most = 'x'.repeat(MOST);
    for (const [before, after] of [
      ['', ''],
      ['', '\n'],
      ['', '\r\n'],
      ['\uFEFF', '\r\n'],
    ] as const) {
      expect((await read(Buffer.from(`${before}${most}${after}`), [3])).map(text)).toEqual([most]);
      expect((await read(Buffer.from(`${before}${most}y${after}`), [3])).map(text)).toEqual([undefined]);
    }
  });

  it('begin behind a byte order mark', async () => {
    const lines = await read(Buffer.from('\uFEFF{}\n\uFEFF{}\n'));
    expect(lines.map((line) => [line.offset, text(line)])).toEqual([
      [3, '{}'],
      [6, '\uFEFF{}'],
    ]);
  });
});
