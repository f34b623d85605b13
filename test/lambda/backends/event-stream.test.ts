import { crc32 as crc32OfNode } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { crc32 } from '../../../lambda/backends/crc32';
import { EventStreamFault, type EventStreamMessage, EventStreamReader } from '../../../lambda/backends/event-stream';
import { frame } from '../event-stream-frames';

const name = fc.string({ minLength: 1, maxLength: 20 });
const value = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.boolean(),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);
const message = fc.record({
  headers: fc.dictionary(name, value, { maxKeys: 5 }),
  payload: fc.uint8Array({ maxLength: 200 }),
});

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...[...places].sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end));
}

function readAll(pieces: readonly Buffer[]): { messages: EventStreamMessage[]; isComplete: boolean } {
  const reader = new EventStreamReader();
  const messages = pieces.flatMap((piece) => reader.take(piece));
  return { messages, isComplete: reader.isComplete };
}

describe('an event stream of AWS', () => {
  it('is the same messages in whatever pieces it arrives', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 6 }).chain((sent) => {
          const bytes = Buffer.concat(sent.map(({ headers, payload }) => frame(headers, payload)));
          const places = fc.array(fc.nat({ max: bytes.length }), { maxLength: 30 });
          return fc.tuple(fc.constant(sent), fc.constant(bytes), places);
        }),
        ([sent, bytes, places]) => {
          const { messages, isComplete } = readAll(cut(bytes, places));
          expect(isComplete).toBe(true);
          expect(messages.map(({ headers, payload }) => [{ ...headers }, [...payload]])).toEqual(
            sent.map(({ headers, payload }) => [
              Object.fromEntries(Object.entries(headers).filter(([, text]) => typeof text === 'string')),
              [...payload],
            ]),
          );
        },
      ),
    );
  });

  it('is refused where any one bit of it is wrong, or never comes to its end', () => {
    const bytes = frame({ ':event-type': 'messageStart', count: 3 }, '{"role":"assistant"}');
    fc.assert(
      fc.property(fc.nat({ max: bytes.length * 8 - 1 }), (bit) => {
        const damaged = Buffer.from(bytes);
        damaged[bit >> 3]! ^= 1 << (bit & 7);
        expect(() => readAll([damaged])).toThrow(EventStreamFault);
      }),
      { numRuns: bytes.length * 8 },
    );
    expect(readAll([bytes.subarray(0, -1)])).toEqual({ messages: [], isComplete: false });
  });

  it('is judged and never a crash, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (pieces) => {
        try {
          readAll(pieces.map((piece) => Buffer.from(piece)));
        } catch (error) {
          expect(error).toBeInstanceOf(EventStreamFault);
        }
      }),
    );
  });

  it.each([
    ['longer than any message', 16 * 1024 * 1024 + 1, 0],
    ['with more headers than it is long', 40, 30],
    ['too short to hold its checksums', 15, 0],
  ])('is refused at once where a message is %s', (_, length, headerBytes) => {
    const prelude = Buffer.alloc(12);
    prelude.writeUInt32BE(length, 0);
    prelude.writeUInt32BE(headerBytes, 4);
    prelude.writeUInt32BE(crc32OfNode(prelude.subarray(0, 8)), 8);
    expect(() => readAll([prelude])).toThrow(`a message of ${length} bytes`);
  });

  it.each([
    ['that are cut off', [5, 97, 98]],
    ['of an unknown type', [1, 97, 10, 0]],
  ])('is refused where it has headers %s', (_, header) => {
    const whole = frame({}, Buffer.from(header));
    // The same bytes, declared as headers in place of the payload.
    whole.writeUInt32BE(header.length, 4);
    whole.writeUInt32BE(crc32OfNode(whole.subarray(0, 8)), 8);
    whole.writeUInt32BE(crc32OfNode(whole.subarray(0, -4)), whole.length - 4);
    expect(() => readAll([whole])).toThrow(EventStreamFault);
  });

  it('has the checksums that Node computes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(crc32(bytes)).toBe(crc32OfNode(bytes));
      }),
    );
  });
});
