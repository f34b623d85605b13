import type { IncomingHttpHeaders } from 'node:http';

/** Who is told what a response holds, in the order in which it comes. */
export interface ResponseSink {
  /** Status and headers. The names of headers are in lower case. */
  head(status: number, headers: IncomingHttpHeaders): void;
  /** A part of the body. The bytes are overwritten by what comes next. */
  chunk(bytes: Buffer): void;
  /** The end, and whether the connection may carry another request. */
  end(reusable: ReusePermission | undefined): void;
}

/** What a server said about the next request on its connection. */
export interface ReusePermission {
  /** How long it keeps the connection, in milliseconds; undefined where it did not say. */
  readonly keptMs?: number;
}

/** What came is no response, or not the whole of one. */
export class HttpFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'HttpFault';
  }
}

/** Node's own limit on all header lines together. */
const MOST_HEAD_BYTES = 16 * 1024;
const MOST_CHUNK_LINE_BYTES = 1024;
const MOST_INTERIM = 16;

const NO_BYTES = Buffer.alloc(0);
const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const BEGIN = Buffer.from('HTTP/1.');
const [CR, LF] = [13, 10];

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
/** A name, a colon, and a value with no control characters; spaces around the value do not belong to it (RFC 9110, 5.5). */
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*$/;
const LENGTH = /^\d{1,15}$/;
const CHUNK_LINE = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const KEEP_ALIVE_TIMEOUT = /(?:^|,)[\t ]*timeout=(\d{1,6})/i;

type State = 'head' | 'counted' | 'chunkLine' | 'chunkData' | 'chunkEnd' | 'trailers' | 'untilClose' | 'complete';

/**
 * Reads one response to a POST out of a stream of bytes, however the network cut it (HTTP/1.1, RFC 9112). It takes what
 * servers send in truth and refuses all that two readers could understand differently: two lengths, a length beside
 * chunks, folded lines, bare line feeds, other transfer codings.
 */
export class ResponseParser {
  private state: State = 'head';
  /** A copy of what begins a line that has not come to its end. */
  private rest: Buffer = NO_BYTES;
  /** Bytes of the body, or of its chunk, that are still to come. */
  private left = 0;
  private interim = 0;
  private reusable: ReusePermission | undefined;

  constructor(private readonly sink: ResponseSink) {}

  /** Whether any byte has come. */
  public get hasBegun(): boolean {
    return this.state !== 'head' || this.rest.length > 0 || this.interim > 0;
  }

  /**
   * Takes the next bytes. They may be overwritten afterwards.
   *
   * @throws HttpFault for what is no response; the connection is of no more use then
   */
  public push(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    this.rest = NO_BYTES;
    let at = 0;
    while (at >= 0 && this.state !== 'complete') at = this.step(bytes, at);
  }

  /**
   * The connection has ended.
   *
   * @throws HttpFault where the response has not
   */
  public close(): void {
    if (this.state === 'complete') return;
    if (this.state !== 'untilClose') throw new HttpFault('the connection ended before the answer did');
    this.complete(false);
  }

  /** Goes on from a place; returns the next one, or -1 where more bytes are needed. */
  private step(bytes: Buffer, at: number): number {
    switch (this.state) {
      case 'head':
        return this.head(bytes, at);
      case 'counted':
      case 'chunkData':
      case 'untilClose':
        return this.data(bytes, at);
      case 'chunkLine':
        return this.chunkLine(bytes, at);
      case 'chunkEnd':
        return this.chunkEnd(bytes, at);
      case 'trailers':
        return this.trailers(bytes, at);
      case 'complete':
        return -1;
    }
  }

  private head(bytes: Buffer, at: number): number {
    const present = Math.min(BEGIN.length, bytes.length - at);
    if (bytes.compare(BEGIN, 0, present, at, at + present) !== 0) throw new HttpFault('the answer is no HTTP/1');
    const end = this.find(HEAD_END, bytes, at, MOST_HEAD_BYTES);
    if (end < 0) return -1;
    const lines = bytes.toString('latin1', at, end).split('\r\n');
    const next = end + HEAD_END.length;
    const [, minor, code] = STATUS_LINE.exec(lines[0] ?? '') ?? [];
    if (minor === undefined) throw new HttpFault('the status line is none');
    const headers = headersOf(lines);
    const status = Number(code);
    if (status < 200) {
      if (status === 101) throw new HttpFault('the protocol was changed unasked');
      if (++this.interim > MOST_INTERIM) throw new HttpFault('there are only interim answers');
      return next;
    }
    this.reusable = reuse(minor === '1', headers);
    this.state = this.framing(status, minor === '1', headers);
    this.sink.head(status, headers);
    if (this.state === 'complete' || (this.state === 'counted' && this.left === 0))
      this.complete(next === bytes.length);
    return next;
  }

  /** How the end of the body is known (RFC 9112, 6.3). */
  private framing(status: number, chunks: boolean, headers: IncomingHttpHeaders): State {
    const { 'content-length': length, 'transfer-encoding': coding } = headers;
    if (length !== undefined && !LENGTH.test(length)) throw new HttpFault('the content-length is no number');
    if (coding !== undefined) {
      if (!chunks || length !== undefined || coding.toLowerCase() !== 'chunked') {
        throw new HttpFault('the transfer-encoding is not understood');
      }
      if (status !== 204 && status !== 304) return 'chunkLine';
    }
    if (status === 204 || status === 304) return 'complete';
    if (length === undefined) {
      this.reusable = undefined;
      return 'untilClose';
    }
    this.left = Number(length);
    return 'counted';
  }

  private data(bytes: Buffer, at: number): number {
    const present = bytes.length - at;
    if (present === 0) return -1;
    const size = this.state === 'untilClose' ? present : Math.min(present, this.left);
    this.left -= size;
    this.sink.chunk(bytes.subarray(at, at + size));
    if (this.state !== 'untilClose' && this.left === 0) {
      if (this.state === 'chunkData') this.state = 'chunkEnd';
      else this.complete(size === present);
    }
    return at + size;
  }

  private chunkLine(bytes: Buffer, at: number): number {
    const end = this.find(LINE_END, bytes, at, MOST_CHUNK_LINE_BYTES);
    if (end < 0) return -1;
    const [, digits] = CHUNK_LINE.exec(bytes.toString('latin1', at, end)) ?? [];
    if (digits === undefined) throw new HttpFault('the size of a chunk is no number');
    this.left = Number.parseInt(digits, 16);
    this.state = this.left === 0 ? 'trailers' : 'chunkData';
    return end + LINE_END.length;
  }

  private chunkEnd(bytes: Buffer, at: number): number {
    if (at < bytes.length && bytes[at] !== CR) throw new HttpFault('a chunk is longer than announced');
    if (at + 1 >= bytes.length) return this.wait(bytes, at);
    if (bytes[at + 1] !== LF) throw new HttpFault('a chunk is longer than announced');
    this.state = 'chunkLine';
    return at + 2;
  }

  /** What follows the last chunk is checked and of no use to anyone. */
  private trailers(bytes: Buffer, at: number): number {
    if (bytes[at] === CR && bytes[at + 1] === LF) {
      this.complete(at + 2 === bytes.length);
      return at + 2;
    }
    if (bytes.length - at < 2) return this.wait(bytes, at);
    const end = this.find(HEAD_END, bytes, at, MOST_HEAD_BYTES);
    if (end < 0) return -1;
    headersOf(['', ...bytes.toString('latin1', at, end).split('\r\n')]);
    this.complete(end + HEAD_END.length === bytes.length);
    return end + HEAD_END.length;
  }

  /** Where a mark is; -1 while it has not come, with what is there kept for the next time. */
  private find(mark: Buffer, bytes: Buffer, at: number, most: number): number {
    const end = bytes.indexOf(mark, at);
    if ((end < 0 ? bytes.length : end) - at > most) throw new HttpFault('a line or the headers have no end');
    return end < 0 ? this.wait(bytes, at) : end;
  }

  private wait(bytes: Buffer, at: number): -1 {
    this.rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : NO_BYTES;
    return -1;
  }

  /** Bytes beyond the end belong to no request, so nothing that follows them can be trusted. */
  private complete(isClean: boolean): void {
    this.state = 'complete';
    this.sink.end(isClean ? this.reusable : undefined);
  }
}

/** The headers below a first line. Fields that come twice are one list, as in Node.js. */
function headersOf(lines: readonly string[]): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = Object.create(null) as IncomingHttpHeaders;
  for (let i = 1; i < lines.length; i++) {
    const [, given, value] = HEADER_LINE.exec(lines[i]!) ?? [];
    if (given === undefined || value === undefined) throw new HttpFault('a header line is none');
    const name = given.toLowerCase();
    const before = headers[name];
    if (name === 'set-cookie') headers[name] = [...(headers[name] ?? []), value];
    else headers[name] = before === undefined ? value : `${String(before)}, ${value}`;
  }
  return headers;
}

/** Whether the server keeps the connection: the rule of 1.1, and on demand only in 1.0. */
function reuse(isCurrent: boolean, { connection = '', 'keep-alive': keepAlive }: IncomingHttpHeaders) {
  const options = connection.toLowerCase().split(/[\t ]*,[\t ]*/);
  if (options.includes('close') || (!isCurrent && !options.includes('keep-alive'))) return undefined;
  const seconds = KEEP_ALIVE_TIMEOUT.exec(String(keepAlive ?? ''))?.[1];
  return seconds === undefined ? {} : { keptMs: Number(seconds) * 1000 };
}
