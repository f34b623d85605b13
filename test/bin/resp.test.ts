import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeReply, ErrorReply, type Reply, RequestParser, RespSyntaxError, StatusReply } from '../../bin/start/resp';

const encodeRequest = (args: Buffer[]) => encodeReply(args);
const bytes = fc.uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value));
const request = fc.array(bytes, { minLength: 1, maxLength: 5 });

describe('RequestParser', () => {
  it('reads the same requests however the network cuts them, whatever their bytes', () => {
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (requests, cuts) => {
          const stream = Buffer.concat(requests.map(encodeRequest));
          const parser = new RequestParser();
          const parsed: Buffer[][] = [];
          for (let offset = 0, i = 0; offset < stream.length; i++) {
            const end = offset + cuts[i % cuts.length]!;
            parsed.push(...parser.push(stream.subarray(offset, end)));
            offset = end;
          }
          expect(parsed).toEqual(requests);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('keeps its requests when the network reuses its buffer', () => {
    const buffer = encodeRequest([Buffer.from('GET'), Buffer.from('key')]);
    const [parsed] = new RequestParser().push(buffer);
    buffer.fill(0);
    expect(parsed?.map(String)).toEqual(['GET', 'key']);
  });

  it.each([
    ['an inline command', 'PING\r\n'],
    ['a length that is no number', '*x\r\n'],
    ['a negative length', '*1\r\n$-1\r\n'],
    ['an argument of a gigabyte', '*1\r\n$1073741824\r\n'],
    ['a length without end', `*${'1'.repeat(40)}`],
  ])('refuses %s', (_, text) => {
    expect(() => new RequestParser().push(Buffer.from(text))).toThrow(RespSyntaxError);
  });
});

describe('encodeReply', () => {
  it.each<[string, Reply, string]>([
    ['nil', null, '$-1\r\n'],
    ['a whole number', 42, ':42\r\n'],
    ['a fraction, cut as Redis cuts it', -3.7, ':-3\r\n'],
    ['a fraction that fits no 64 bits, as C cuts it', 1e30, ':-9223372036854775808\r\n'],
    ['a large number to its last digit', 2 ** 62, ':4611686018427387904\r\n'],
    ['a number beyond the whole ones of JavaScript', 9007199254740993n, ':9007199254740993\r\n'],
    ['text by its bytes', 'é', '$2\r\né\r\n'],
    ['empty text', '', '$0\r\n\r\n'],
    ['a status', new StatusReply('OK'), '+OK\r\n'],
    ['a nested list', [1, ['a', null]], '*2\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n'],
    ['an error with its code', new Error('NOSCRIPT No matching script.'), '-NOSCRIPT No matching script.\r\n'],
    ['an error of the store as it is', new ErrorReply('no code \r\n'), '-no code \r\n'],
    ['an error on one line, with a code', new Error('it broke\nhere'), '-ERR it broke here\r\n'],
  ])('writes %s', (_, reply, text) => {
    expect(encodeReply(reply).toString()).toBe(text);
  });

  it('writes texts one byte a character where it is told to', () => {
    const reply = ['\xff', new StatusReply('\xe9'), new ErrorReply('E \xe8')];
    expect(encodeReply(reply, 'latin1').toString('latin1')).toBe('*3\r\n$1\r\n\xff\r\n+\xe9\r\n-E \xe8\r\n');
  });
});
