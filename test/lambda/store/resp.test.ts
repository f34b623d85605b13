import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeReply, type Reply as Sent, RequestParser, StatusReply } from '../../../bin/start/resp';
import {
  CommandBatch,
  INCOMPLETE,
  ProtocolFault,
  type Reply,
  ReplyError,
  ReplyParser,
} from '../../../lambda/store/resp';

/** Cuts bytes at some places, as a network does. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
}

/** All replies in some chunks. Each chunk is overwritten once it has been read, as the socket's buffer is. */
function repliesIn(chunks: readonly Buffer[], asBytes = false): { replies: Reply[]; parser: ReplyParser } {
  const parser = new ReplyParser();
  const replies: Reply[] = [];
  for (const chunk of chunks) {
    const buffer = Buffer.from(chunk);
    parser.push(buffer);
    for (let reply = parser.read(asBytes); reply !== INCOMPLETE; reply = parser.read(asBytes)) replies.push(reply);
    buffer.fill(0xff);
  }
  return { replies, parser };
}

const places = fc.array(fc.nat(), { maxLength: 30 });
const line = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ' '));
const { reply: sentReply } = fc.letrec<{ reply: Sent }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc.constant(null),
    fc.maxSafeInteger(),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    line.map((text) => new StatusReply(text)),
    line.map((text) => new Error(`ERR ${text}`)),
    fc.array(tie('reply'), { maxLength: 6 }),
  ),
}));

/** What the client is to make of what was sent. */
function expected(sent: Sent, asBytes: boolean): unknown {
  if (sent instanceof StatusReply) return sent.text;
  if (sent instanceof Error) return encodeReply(sent).toString().slice(1, -2);
  if (Array.isArray(sent)) return (sent as readonly Sent[]).map((item) => expected(item, asBytes));
  if (typeof sent === 'string') return asBytes ? Buffer.from(sent) : Buffer.from(sent).toString();
  return Buffer.isBuffer(sent) && !asBytes ? sent.toString() : sent;
}

/** Errors by their message, so that they compare. */
function plain(reply: Reply): unknown {
  if (reply instanceof ReplyError) return reply.message;
  return Array.isArray(reply) ? reply.map(plain) : reply;
}

describe('the parser of replies', () => {
  it('reads the same replies however the network cuts them', () => {
    fc.assert(
      fc.property(fc.array(sentReply, { maxLength: 8 }), places, fc.boolean(), (sent, at, asBytes) => {
        const bytes = Buffer.concat(sent.map((reply) => encodeReply(reply)));
        const { replies, parser } = repliesIn(cut(bytes, at), asBytes);
        expect(replies.map(plain)).toEqual(sent.map((reply) => expected(reply, asBytes)));
        expect(parser.hasRest).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('reads byte by byte, and knows that there is a rest', () => {
    const bytes = Buffer.from('*3\r\n$5\r\nhéll\r\n*-1\r\n*2\r\n:-12\r\n*0\r\n-ERR no\r\n+OK\r\n');
    const { replies, parser } = repliesIn([...bytes].map((byte) => Buffer.from([byte])));
    expect(replies.map(plain)).toEqual([['héll', null, [-12, []]], 'ERR no', 'OK']);
    expect(parser.hasRest).toBe(false);
    parser.push(Buffer.from('*2\r\n:1\r\n'));
    expect(parser.read()).toBe(INCOMPLETE);
    expect(parser.hasRest).toBe(true);
  });

  it('rounds no number', () => {
    const { replies } = repliesIn([
      Buffer.from(':9223372036854775807\r\n:-9007199254740993\r\n:9007199254740991\r\n:-0\r\n'),
    ]);
    expect(replies).toEqual([9223372036854775807n, -9007199254740993n, 9007199254740991, 0]);
  });

  it('reads a large value in many parts, in time that grows with its bytes', () => {
    const value = Buffer.alloc(16 * 1024 * 1024, 'x');
    const bytes = encodeReply(value);
    const chunks = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, i) =>
      bytes.subarray(i * 1000, i * 1000 + 1000),
    );
    const started = performance.now();
    const [reply] = repliesIn(chunks, true).replies;
    expect(value.equals(reply as Buffer)).toBe(true);
    // Read anew with each part, it would take a minute.
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it.each([
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n'],
    ['a length that is none', '$x\r\n'],
    ['a negative length', '$-2\r\n'],
    ['a length beyond all that is stored', '$99999999999\r\n'],
    ['a list beyond all that is stored', '*99999999\r\n'],
    ['a value longer than announced', '$2\r\nabcd\r\n'],
    ['a number with letters', ':12a\r\n'],
    ['a number without digits', ':\r\n'],
    ['a number without end', `:${'1'.repeat(30)}`],
    ['a number that ends in the middle', ':1\rx'],
    ['a line that ends in the middle', '+OK\rx\n'],
    ['a line without end', `+${'x'.repeat(100_000)}`],
    ['lists within lists without end', '*1\r\n'.repeat(1000)],
    ['RESP 3', '%1\r\n+a\r\n+b\r\n'],
  ])('refuses %s', (_, text) => {
    expect(() => repliesIn([Buffer.from(text)])).toThrow(ProtocolFault);
    expect(() => repliesIn([...Buffer.from(text)].map((byte) => Buffer.from([byte])))).toThrow(ProtocolFault);
  });

  it('makes of any garbage replies or a fault of the protocol, the same however it is cut', () => {
    const garbage = fc.array(
      fc.oneof(
        fc.constantFrom('*1\r\n', '*2\r\n', '$3\r\n', '$-1\r\n', ':5\r\n', '+a\r\n', '-b\r\n', '\r\n', '\n', 'abc'),
        fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      ),
      { maxLength: 20 },
    );
    const outcome = (chunks: readonly Buffer[]) => {
      try {
        return repliesIn(chunks).replies.map(plain);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolFault);
        return 'fault';
      }
    };
    fc.assert(
      fc.property(garbage, places, (parts, at) => {
        const bytes = Buffer.from(parts.join(''), 'latin1');
        expect(outcome(cut(bytes, at))).toEqual(outcome([bytes]));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a batch of commands', () => {
  it('is what a store reads, be it text or bytes, in one write', () => {
    const argument = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    );
    const batch = new CommandBatch();
    fc.assert(
      fc.property(
        fc.array(fc.array(argument, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 5 }),
        (all) => {
          for (const command of all) batch.add(command);
          const written: Buffer[] = [];
          batch.sendTo((data, encoding) => {
            written.push(typeof data === 'string' ? Buffer.from(data, encoding) : data);
          });
          expect(written).toHaveLength(1);
          const asBytes = all.map((command) =>
            command.map((one) => (typeof one === 'string' ? Buffer.from(one) : one)),
          );
          expect(new RequestParser().push(written[0]!)).toEqual(asBytes);
          expect(batch.isEmpty).toBe(true);
        },
      ),
    );
  });
});
