import { crc32 } from './crc32';

/** One message of an AWS event stream. */
export interface EventStreamMessage {
  /** Headers that hold text; others are no use here. */
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Buffer;
}

/** Bytes that are no event stream, or were damaged on the way. */
export class EventStreamFault extends Error {}

/** Length of the message, length of its headers, and a checksum of both. */
const PRELUDE_BYTES = 12;
const CHECKSUM_BYTES = 4;

/** Limits of AWS's own encoder (aws-c-event-stream). What says that it is larger is damaged. */
const MOST_MESSAGE_BYTES = 16 * 1024 * 1024;
const MOST_HEADER_BYTES = 128 * 1024;

/** Bytes of a header's value, by its type; text and raw bytes say their own length. */
const VALUE_BYTES: readonly (number | undefined)[] = [0, 0, 1, 2, 4, 8, undefined, undefined, 8, 16];
const TEXT = 7;

/**
 * Reads `application/vnd.amazon.eventstream` (https://smithy.io/2.0/aws/amazon-eventstream.html), in whatever pieces it
 * arrives: each message is passed on once it is whole and both of its checksums are right.
 */
export class EventStreamReader {
  private pending: Buffer = Buffer.alloc(0);

  /** Whether the bytes so far end with a message. */
  public get isComplete(): boolean {
    return this.pending.length === 0;
  }

  /**
   * Takes what arrived and returns the messages that are whole by now.
   *
   * @throws EventStreamFault for what is no event stream; nothing more can be read after it
   */
  public take(chunk: Buffer): EventStreamMessage[] {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    const messages: EventStreamMessage[] = [];
    for (;;) {
      const length = lengthOf(this.pending);
      if (length === undefined || this.pending.length < length) return messages;
      messages.push(messageOf(this.pending.subarray(0, length)));
      this.pending = this.pending.subarray(length);
    }
  }
}

/** Length of the message that begins here; undefined where too little of it is known. */
function lengthOf(bytes: Buffer): number | undefined {
  if (bytes.length < PRELUDE_BYTES) return undefined;
  const [length, headerBytes] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
  if (crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8)) throw new EventStreamFault('the prelude is damaged');
  const isPossible =
    length <= MOST_MESSAGE_BYTES &&
    headerBytes <= MOST_HEADER_BYTES &&
    length >= PRELUDE_BYTES + headerBytes + CHECKSUM_BYTES;
  if (!isPossible) throw new EventStreamFault(`a message of ${length} bytes with ${headerBytes} of headers`);
  return length;
}

function messageOf(bytes: Buffer): EventStreamMessage {
  const end = bytes.length - CHECKSUM_BYTES;
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) throw new EventStreamFault('a message is damaged');
  const headersEnd = PRELUDE_BYTES + bytes.readUInt32BE(4);
  return { headers: headersOf(bytes.subarray(PRELUDE_BYTES, headersEnd)), payload: bytes.subarray(headersEnd, end) };
}

function headersOf(bytes: Buffer): Record<string, string> {
  const headers: [string, string][] = [];
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new EventStreamFault('the headers are cut off');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const name = take(take(1).readUInt8()).toString('utf8');
    const type = take(1).readUInt8();
    if (type >= VALUE_BYTES.length) throw new EventStreamFault(`a header of the unknown type ${type}`);
    const value = take(VALUE_BYTES[type] ?? take(2).readUInt16BE());
    if (type === TEXT) headers.push([name, value.toString('utf8')]);
  }
  return Object.fromEntries(headers);
}
