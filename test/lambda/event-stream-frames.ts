import { crc32 } from 'node:zlib';

/** A header's value in the form that its type has on the wire. */
export type HeaderValue = string | boolean | number | Buffer;

/** Encodes one message of an AWS event stream, by Node's own checksum. */
export function frame(headers: Readonly<Record<string, HeaderValue>>, payload: Uint8Array | string): Buffer {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => header(name, value)));
  const body = Buffer.from(payload as string);
  const prelude = Buffer.alloc(8);
  prelude.writeUInt32BE(16 + head.length + body.length, 0);
  prelude.writeUInt32BE(head.length, 4);
  const start = Buffer.concat([prelude, checksum(prelude), head, body]);
  return Buffer.concat([start, checksum(start)]);
}

/** An event of a ConverseStream. */
export function converseEvent(type: string, event: object): Buffer {
  return frame(
    { ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' },
    JSON.stringify(event),
  );
}

/** An exception of a ConverseStream. */
export function converseException(type: string, message: string): Buffer {
  return frame({ ':exception-type': type, ':message-type': 'exception' }, JSON.stringify({ message }));
}

function header(name: string, value: HeaderValue): Buffer {
  return Buffer.concat([Buffer.from([Buffer.byteLength(name)]), Buffer.from(name), valueOf(value)]);
}

function valueOf(value: HeaderValue): Buffer {
  if (typeof value === 'boolean') return Buffer.from([value ? 0 : 1]);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(5);
    bytes.writeUInt8(4);
    bytes.writeInt32BE(value, 1);
    return bytes;
  }
  const bytes = Buffer.from(value as string);
  const length = Buffer.alloc(3);
  length.writeUInt8(typeof value === 'string' ? 7 : 6);
  length.writeUInt16BE(bytes.length, 1);
  return Buffer.concat([length, bytes]);
}

function checksum(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum;
}
