import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HttpFault, ResponseParser, type ReusePermission } from '../../../lambda/backends/response-parser';

interface Seen {
  status?: number;
  headers?: Record<string, unknown>;
  body: string;
  ended: boolean;
  reusable?: ReusePermission | undefined;
  fault?: true;
}

/** What a response turns out to be. Each chunk is overwritten once it has been taken, as the socket's buffer is. */
function read(chunks: readonly Buffer[], { closes = false } = {}): Seen {
  const seen: Seen = { body: '', ended: false };
  const parser = new ResponseParser({
    head: (status, headers) => {
      expect(seen.status).toBeUndefined();
      Object.assign(seen, { status, headers: { ...headers } });
    },
    chunk: (bytes) => {
      expect(seen.ended).toBe(false);
      seen.body += bytes.toString('latin1');
    },
    end: (reusable) => {
      expect(seen.ended).toBe(false);
      Object.assign(seen, { ended: true, reusable });
    },
  });
  try {
    for (const chunk of chunks) {
      const buffer = Buffer.from(chunk);
      parser.push(buffer);
      buffer.fill(0xff);
    }
    if (closes) parser.close();
  } catch (error) {
    expect(error).toBeInstanceOf(HttpFault);
    seen.fault = true;
  }
  return seen;
}

const bytesOf = (text: string) => Buffer.from(text, 'latin1');
const readText = (text: string, options = {}) => read([bytesOf(text)], options);

/** Cuts bytes at some places, as a network does. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
}

const places = fc.array(fc.nat(), { maxLength: 30 });
const blank = fc.constantFrom('', ' ', '\t', ' \t');
const part = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const status = fc.integer({ min: 200, max: 599 }).filter((code) => code !== 204 && code !== 304);
const interim = fc.constantFrom('', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n');

const chunked = fc
  .record({
    parts: fc.array(part, { maxLength: 8 }),
    extension: fc.constantFrom('', ';a', ' ; a="b"'),
    zeros: fc.constantFrom('0', '000'),
    trailers: fc.constantFrom('', 'x-sum: 1\r\n', 'a:b\r\nc: d\r\n'),
  })
  .map(({ parts, extension, zeros, trailers }) => ({
    fields: 'Transfer-Encoding: Chunked\r\n',
    content: parts.join(''),
    wire: `${parts.map((text) => `${text.length.toString(16)}${extension}\r\n${text}\r\n`).join('')}${zeros}\r\n${trailers}\r\n`,
    closes: false,
  }));
const counted = fc.tuple(part, blank).map(([content, space]) => ({
  fields: `content-LENGTH:${space}${content.length}${space}\r\n`,
  content,
  wire: content,
  closes: false,
}));
const untilClose = part.map((content) => ({ fields: '', content, wire: content, closes: true }));

const response = fc
  .tuple(fc.oneof(chunked, counted, untilClose), status, interim)
  .map(([{ fields, content, wire, closes }, code, before]) => ({
    code,
    content,
    closes,
    bytes: bytesOf(`${before}HTTP/1.1 ${code} Some Reason\r\nX-One:  a b \r\n${fields}\r\n${wire}`),
  }));

describe('the parser of responses', () => {
  it('reads the same response however the network cuts it', () => {
    fc.assert(
      fc.property(response, places, ({ code, content, closes, bytes }, at) => {
        const seen = read(cut(bytes, at), { closes });
        expect(seen).toMatchObject({ status: code, body: content, ended: true });
        expect(seen.fault).toBeUndefined();
        expect(seen.headers?.['x-one']).toBe('a b');
        expect(seen.reusable !== undefined).toBe(!closes);
      }),
      { numRuns: 500 },
    );
  });

  it('knows at every place that a response is not over', () => {
    fc.assert(
      fc.property(response, ({ closes, bytes }) => {
        if (closes) return;
        for (let end = 0; end < bytes.length; end++) {
          expect(read([bytes.subarray(0, end)], { closes: true })).toMatchObject({ ended: false, fault: true });
        }
      }),
      { numRuns: 50 },
    );
  });

  it('makes of anything else the same, or the same fault, however it is cut', () => {
    const pieces = [
      'HTTP/1.1 200 OK\r\n',
      'content-length: 3\r\n',
      'transfer-encoding: chunked\r\n',
      '\r\n',
      '3\r\nabc\r\n',
    ];
    const garbage = fc.array(fc.oneof(fc.constantFrom(...pieces, '0\r\n\r\n', '\n', 'x: y\r\n'), part), {
      maxLength: 8,
    });
    const damaged = fc.tuple(response, fc.nat(), fc.nat(255)).map(([{ bytes }, place, byte]) => {
      const copy = Buffer.from(bytes);
      copy[place % copy.length] = byte;
      return copy;
    });
    const anything = fc.oneof(
      garbage.map((parts) => bytesOf(parts.join(''))),
      damaged,
    );
    const outcome = (chunks: Buffer[]) => {
      const { status: code, headers, fault, ended, body } = read(chunks, { closes: true });
      // A fault is noticed with the first chunk that shows it; what had been read by then differs.
      return fault ? { fault } : { code, headers, ended, body };
    };
    fc.assert(
      fc.property(anything, places, (bytes, at) => {
        expect(outcome(cut(bytes, at))).toEqual(outcome([bytes]));
      }),
      { numRuns: 1000 },
    );
  });

  const ok = 'HTTP/1.1 200 OK\r\n';

  it.each([
    ['what is no HTTP', 'SSH-2.0-OpenSSH\r\n'],
    ['what is no HTTP before its first line has ended', '\0\0'],
    ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
    ['a status that is no number', 'HTTP/1.1 2x0 OK\r\n\r\n'],
    ['a change of the protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n'],
    ['interim answers without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(17)],
    ['headers without end', `${ok}x: ${'a'.repeat(17_000)}`],
    ['headers beyond 16 kB', `${ok}${'x: aaaaaaaaaaaaaaaa\r\n'.repeat(1000)}\r\n`],
    ['a folded line', `${ok}x: a\r\n b\r\n\r\n`],
    ['a space before the colon', `${ok}x : a\r\n\r\n`],
    ['a header without a name', `${ok}: a\r\n\r\n`],
    ['a header without a colon', `${ok}x\r\n\r\n`],
    ['a control character in a header', `${ok}x: a\0b\r\n\r\n`],
    ['a carriage return in a header', `${ok}x: a\rb\r\n\r\n`],
    ['a bare line feed', `${ok}x: a\ncontent-length: 0\r\n\r\n`],
    ['two lengths', `${ok}content-length: 1\r\ncontent-length: 2\r\n\r\nab`],
    ['a length that is none', `${ok}content-length: 0x10\r\n\r\n`],
    ['a negative length', `${ok}content-length: -1\r\n\r\n`],
    ['a length beside chunks', `${ok}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['another transfer coding', `${ok}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a chunk whose size is none', `${ok}transfer-encoding: chunked\r\n\r\nxyz\r\n`],
    ['a chunk whose size has a sign', `${ok}transfer-encoding: chunked\r\n\r\n+3\r\nabc\r\n`],
    ['a chunk whose size is beyond counting', `${ok}transfer-encoding: chunked\r\n\r\nfffffffffffff\r\n`],
    ['a chunk line without end', `${ok}transfer-encoding: chunked\r\n\r\n1;${'a'.repeat(2000)}`],
    ['a chunk that is longer than announced', `${ok}transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n`],
    ['a trailer that is none', `${ok}transfer-encoding: chunked\r\n\r\n0\r\nno trailer\r\n\r\n`],
  ])('refuses %s', (_, text) => {
    expect(readText(text)).toMatchObject({ fault: true, ended: false });
    expect(read([...bytesOf(text)].map((byte) => Buffer.from([byte])))).toMatchObject({ fault: true, ended: false });
  });

  it.each<[string, string, ReusePermission | undefined]>([
    ['is kept in HTTP/1.1', `${ok}content-length: 0\r\n\r\n`, {}],
    [
      'is kept as long as the server says',
      `${ok}keep-alive: timeout=5, max=100\r\ncontent-length: 0\r\n\r\n`,
      { keptMs: 5000 },
    ],
    ['is not kept where the server closes', `${ok}connection: Close\r\ncontent-length: 0\r\n\r\n`, undefined],
    ['is not kept in HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', undefined],
    ['is kept in HTTP/1.0 on demand', 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n', {}],
    ['is not kept where more comes than was announced', `${ok}content-length: 1\r\n\r\nabc`, undefined],
    ['is kept after an answer without a body', 'HTTP/1.1 204 No Content\r\n\r\n', {}],
  ])('says whether the connection %s', (_, text, reusable) => {
    const seen = readText(text);
    expect(seen.ended).toBe(true);
    expect(seen.reusable).toEqual(reusable);
  });

  it('joins the fields of one name, and takes no name for more than a name', () => {
    const { headers } = readText(
      `${ok}vary: a\r\nVary: b\r\nset-cookie: a\r\nset-cookie: b\r\n__proto__: x\r\ncontent-length: 0\r\n\r\n`,
    );
    expect(headers).toEqual(
      Object.fromEntries([
        ['vary', 'a, b'],
        ['set-cookie', ['a', 'b']],
        ['__proto__', 'x'],
        ['content-length', '0'],
      ]),
    );
  });
});
