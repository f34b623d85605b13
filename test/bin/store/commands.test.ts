import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { describeBothStores } from '../../store-servers';
import { askBothStores, type Request } from './transcript';

const key = fc.constantFrom('a', 'b', '{c}', 'd\0\xff');
const name = fc.constantFrom('f', 'g', '', 'h\r\n', '\xe9');
const integer = fc.oneof(
  fc.integer({ min: -5, max: 9 }).map(String),
  fc.constantFrom(
    '9223372036854775807',
    '-9223372036854775808',
    '9223372036854775808',
    '01',
    '-0',
    '+1',
    '1.5',
    ' 1',
    '',
  ),
);
const float = fc.oneof(
  fc.integer({ min: -5, max: 9 }).map(String),
  fc.double({ noNaN: true }).map(String),
  fc.constantFrom('inf', '-inf', '+Infinity', 'nan', '1e3', '.5', '5.', '0.1', '1e400', '-0', ''),
);
const bound = fc.oneof(
  float,
  float.map((text) => `(${text}`),
);
const value = fc.oneof(
  integer,
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
);
/** Far from now, so that both clocks read the same whole seconds; and past, which deletes. */
const seconds = fc.oneof(
  fc.integer({ min: 500, max: 9000 }).map(String),
  fc.constantFrom('-1', '0', '9223372036854775807', 'x'),
);
const milliseconds = seconds.map((text) => (/^\d{3,4}$/.test(text) ? `${text}000` : text));
const word = fc.constantFrom(
  'NX',
  'xx',
  'GT',
  'lt',
  'CH',
  'incr',
  'GET',
  'KEEPTTL',
  'byscore',
  'REV',
  'withscores',
  'nope',
);
const limit = fc.tuple(fc.constant('LIMIT'), integer, integer);

const request = (...parts: fc.Arbitrary<string | string[]>[]): fc.Arbitrary<Request> =>
  fc.tuple(...parts).map((texts) => texts.flat());
const several = (...parts: fc.Arbitrary<string>[]) =>
  fc.array(fc.tuple(...parts), { minLength: 1, maxLength: 4 }).map((groups) => groups.flat());
const words = fc.array(word, { maxLength: 2 });
const command = (text: string) => fc.constantFrom(text, text.toLowerCase());
const either = <T>(...options: fc.Arbitrary<T>[]) => fc.oneof(...options);
const none = fc.constant<string[]>([]);

const wellFormed = either(
  request(command('SET'), key, value),
  request(
    command('SET'),
    key,
    value,
    words,
    either(
      none,
      request(fc.constantFrom('EX', 'px'), milliseconds).map((x) => [...x]),
    ),
  ),
  request(fc.constantFrom('GET', 'STRLEN', 'INCR', 'TYPE', 'PERSIST', 'TTL', 'HGETALL', 'HLEN', 'ZCARD'), key),
  request(fc.constantFrom('DEL', 'UNLINK', 'EXISTS', 'MGET'), several(key)),
  request(command('INCRBY'), key, integer),
  request(command('GETRANGE'), key, integer, integer),
  request(command('EXPIRE'), key, seconds, words),
  request(command('PEXPIRE'), key, milliseconds, words),
  request(command('HSET'), key, several(name, value)),
  request(command('HSETNX'), key, name, value),
  request(fc.constantFrom('HGET', 'HEXISTS', 'ZSCORE'), key, name),
  request(fc.constantFrom('HMGET', 'HDEL', 'ZREM'), key, several(name)),
  request(command('HINCRBY'), key, name, integer),
  request(command('ZADD'), key, words, several(float, name)),
  request(fc.constantFrom('ZCOUNT', 'ZREMRANGEBYSCORE'), key, bound, bound),
  request(command('ZRANGE'), key, integer, integer, words),
  request(command('ZRANGE'), key, bound, bound, fc.constant('BYSCORE'), words, either(none, limit)),
  request(command('ZRANGEBYSCORE'), key, bound, bound, words, either(none, limit)),
);
const names = [
  ...[
    'DEL',
    'UNLINK',
    'EXISTS',
    'TYPE',
    'EXPIRE',
    'PEXPIRE',
    'PERSIST',
    'TTL',
    'DBSIZE',
    'ECHO',
    'PING',
    'GET',
    'MGET',
  ],
  ...['SET', 'STRLEN', 'GETRANGE', 'INCR', 'INCRBY', 'HSET', 'HSETNX', 'HGET', 'HMGET', 'HGETALL', 'HDEL', 'HLEN'],
  ...['HEXISTS', 'HINCRBY', 'ZADD', 'ZREM', 'ZCARD', 'ZSCORE', 'ZCOUNT', 'ZRANGE', 'ZRANGEBYSCORE', 'ZREMRANGEBYSCORE'],
  ...['EVALSHA', 'FT.SEARCH', 'nonsense'],
];
const anyForm = request(
  fc.constantFrom(...names, ...names.map((text) => text.toLowerCase())),
  fc.array(either(key, name, value, float, bound, seconds, word), { maxLength: 6 }),
);
const sequence = fc.array(fc.oneof({ weight: 5, arbitrary: wellFormed }, { weight: 1, arbitrary: anyForm }), {
  minLength: 1,
  maxLength: 40,
});

describeBothStores('the commands of the embedded store', (urls) => {
  const { answers } = askBothStores(urls);

  it('answer any sequence byte for byte as the real ones do', async () => {
    await fc.assert(
      fc.asyncProperty(sequence, async (requests) => {
        const { embedded, real } = await answers(requests);
        expect(embedded).toEqual(real);
      }),
      { numRuns: 400 },
    );
  });

  it.each<[what: string, requests: readonly string[]]>([
    [
      'name what they do not know, and quote no more than Redis',
      [`nonsense ${'x'.repeat(200)} y`, 'FT.CREATE i', 'constructor', 'TOSTRING x', '__proto__'],
    ],
    [
      'say how SCRIPT is used',
      ['SCRIPT', 'SCRIPT LOAD', 'SCRIPT LOAD {', 'SCRIPT EXISTS', 'SCRIPT FLUSH x', 'SCRIPT nope'],
    ],
    [
      'know scripts by their digests',
      ['SCRIPT FLUSH', 'EVALSHA abc 0', `SCRIPT EXISTS abc ${'E'.repeat(40)}`, 'SCRIPT FLUSH ASYNC'],
    ],
    [
      'refuse impossible numbers of keys',
      ['EVAL return 1', 'EVAL return 1 1', 'EVAL return -1', 'EVAL return x', 'EVAL return 0'],
    ],
    ['refuse a database that is not there', ['SELECT 0', 'SELECT 16', 'SELECT x']],
    [
      'empty the store',
      ['SET a 1', 'DBSIZE', 'FLUSHDB SYNC', 'DBSIZE', 'FLUSHALL x', 'FLUSHALL SYNC x', 'FLUSHALL ASYNC'],
    ],
    ['refuse arguments to TIME', ['TIME x']],
  ])('%s', async (_, lines) => {
    const { embedded, real } = await answers(lines.map((line) => line.split(' ')));
    expect(embedded).toEqual(real);
  });

  it('find the same keys by a pattern', async () => {
    const keys = ['a', 'b', 'ab', 'a*', 'a?', '[x]', 'a-c', 'key:1', 'key:22', 'a\nb', 'a.b', '^', ']'];
    const patterns = [
      '*',
      'a*',
      '?',
      'a?b',
      '[ab]',
      '[^ab]',
      '[a-c]',
      'a\\*',
      'a\\?',
      '\\[x\\]',
      'key:[0-9]',
      'a.b',
      '$',
      '[]]',
      '[\\]]',
    ];
    const { embedded, real } = await answers([
      ...keys.map((text) => ['SET', text, '1']),
      ...patterns.map((pattern) => ['KEYS', pattern]),
    ]);
    const found = (all: typeof real) =>
      all
        .slice(keys.length)
        .map(({ request: asked, reply }) => ({ asked, keys: reply.split(/\r\n\$\d+\r\n|\r\n$/).sort() }));
    expect(found(embedded)).toEqual(found(real));
  });
});
