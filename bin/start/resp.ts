/**
 * The Redis serialization protocol, version 2: requests in, replies out.
 *
 * Requests are arrays of bulk strings and stay bytes, since a value may be anything. See
 * https://redis.io/docs/latest/develop/reference/protocol-spec/.
 */

/** A short answer such as `OK`, which clients tell from a stored value. */
export class StatusReply {
  public constructor(public readonly text: string) {}
}

/** An error reply whose line is written as it is; other errors are given a code where they lack one. */
export class ErrorReply extends Error {}

/** What a command may answer. A fraction is cut to a whole number, as Redis does with numbers from scripts. */
export type Reply = null | number | bigint | string | Buffer | StatusReply | Error | readonly Reply[];

/** A request breaks the protocol; the connection cannot go on. */
export class RespSyntaxError extends Error {}

const CRLF = Buffer.from('\r\n');

/** Redis's own `proto-max-bulk-len` is 512 MB; nothing here comes near a tenth of it. */
const MAX_BULK_BYTES = 64 * 1024 * 1024;
const MAX_ARGUMENTS = 1024 * 1024;

/** Cuts a byte stream into requests, however the network cut the stream. */
export class RequestParser {
  private pending: Buffer = Buffer.alloc(0);

  /** Takes the next bytes and returns the requests that they complete, in order. */
  public push(chunk: Buffer): Buffer[][] {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    const requests: Buffer[][] = [];
    let offset = 0;
    for (;;) {
      const parsed = parseRequest(this.pending, offset);
      if (!parsed) break;
      requests.push(parsed.request);
      offset = parsed.end;
    }
    this.pending = this.pending.subarray(offset);
    return requests;
  }
}

/** One reply as bytes; its texts in UTF-8, or one byte a character. */
export function encodeReply(reply: Reply, encoding: 'utf8' | 'latin1' = 'utf8'): Buffer {
  const parts: Buffer[] = [];
  append(reply, encoding, parts);
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function parseRequest(bytes: Buffer, start: number): { request: Buffer[]; end: number } | undefined {
  const head = parseLength(bytes, start, '*', MAX_ARGUMENTS);
  if (!head) return undefined;
  const request: Buffer[] = [];
  let offset = head.end;
  while (request.length < head.length) {
    const bulk = parseLength(bytes, offset, '$', MAX_BULK_BYTES);
    if (!bulk) return undefined;
    const end = bulk.end + bulk.length;
    if (bytes.length < end + CRLF.length) return undefined;
    // A copy: what stays in a store must not keep a whole network buffer alive.
    request.push(Buffer.from(bytes.subarray(bulk.end, end)));
    offset = end + CRLF.length;
  }
  return { request, end: offset };
}

/** Reads a line such as `*3\r\n`, or nothing while it is incomplete. */
function parseLength(
  bytes: Buffer,
  start: number,
  mark: '*' | '$',
  most: number,
): { length: number; end: number } | undefined {
  if (start >= bytes.length) return undefined;
  if (bytes[start] !== mark.charCodeAt(0)) {
    throw new RespSyntaxError(`Protocol error: expected '${mark}', got '${String.fromCharCode(bytes[start]!)}'`);
  }
  const lineEnd = bytes.indexOf(CRLF, start);
  if (lineEnd < 0) {
    if (bytes.length - start > 32) throw new RespSyntaxError('Protocol error: invalid length');
    return undefined;
  }
  const digits = bytes.toString('latin1', start + 1, lineEnd);
  const length = Number(digits);
  if (!/^\d{1,10}$/.test(digits) || length > most) throw new RespSyntaxError('Protocol error: invalid length');
  return { length, end: lineEnd + CRLF.length };
}

function append(reply: Reply, encoding: 'utf8' | 'latin1', parts: Buffer[]): void {
  if (reply === null) {
    parts.push(Buffer.from('$-1\r\n'));
  } else if (typeof reply === 'number') {
    // A number's own digits turn to exponents from 10²¹ on.
    parts.push(Buffer.from(`:${Number.isSafeInteger(reply) ? reply : wholeDigits(reply)}\r\n`));
  } else if (typeof reply === 'bigint') {
    parts.push(Buffer.from(`:${reply}\r\n`));
  } else if (reply instanceof StatusReply) {
    parts.push(Buffer.from(`+${reply.text}\r\n`, encoding));
  } else if (reply instanceof Error) {
    parts.push(Buffer.from(`-${errorLine(reply)}\r\n`, encoding));
  } else if (typeof reply === 'string') {
    const length = encoding === 'latin1' ? reply.length : Buffer.byteLength(reply);
    parts.push(Buffer.from(`$${length}\r\n${reply}\r\n`, encoding));
  } else if (Buffer.isBuffer(reply)) {
    parts.push(Buffer.from(`$${reply.length}\r\n`), reply, CRLF);
  } else {
    parts.push(Buffer.from(`*${reply.length}\r\n`));
    for (const item of reply) append(item, encoding, parts);
  }
}

/** As C cuts it: what does not fit 64 bits becomes the least number that does. */
function wholeDigits(value: number): string {
  const whole = Math.trunc(value);
  return Math.abs(whole) < 2 ** 63 ? BigInt(whole).toString() : String(-(2n ** 63n));
}

/** An error is one line that starts with a code in capitals. */
function errorLine(error: Error): string {
  if (error instanceof ErrorReply) return error.message.replace(/[\r\n]+$/, '').replaceAll(/[\r\n]/g, ' ');
  const line = error.message.replace(/\s+/g, ' ').trim();
  return /^[A-Z]+ /.test(line) ? line : `ERR ${line}`;
}
