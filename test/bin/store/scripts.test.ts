import { expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { resolvePlan } from '../../../lib/policy/defaults';
import type { AdmitRequest, CallOutcome } from '../../../lambda/gateway/request-store';
import { chargesOf } from '../../../lambda/rate-limiting/charges';
import { admitCommand } from '../../../lambda/store/admission-script';
import type { Command } from '../../../lambda/store/connection';
import { breakerKey } from '../../../lambda/store/keys';
import { SCRIPTS } from '../../../lambda/store/scripts';
import { settleCommand } from '../../../lambda/store/settlement-script';
import { describeBothStores } from '../../store-servers';
import { policy } from '../../lambda/policy';
import { askBothStores, type Request } from './transcript';

const SNIPPETS = {
  'what a script returns': [
    'return',
    'return true',
    'return false',
    'return {true, false, 1, nil, 4}',
    "return {3.99, -3.99, 'text', {1, {2}}}",
    'return {10/0, -10/0, 0/0, 1e30, 2^53, -2^62}',
    "return {ok = 'FINE'}",
    "return {err = 'MY bad'}",
    "return {err = 'without'}",
    'return {[1] = 1, field = 2}',
    "return '\\0\\255\\r\\n'",
    'return {KEYS[1] or 0, ARGV[1] or 0, #KEYS, #ARGV}',
  ],
  'what a command gives a script': [
    "return redis.call('SET', 'a', 'x')",
    "return redis.call('set', 'a', 'x').ok",
    "return redis.call('TYPE', 'a')",
    "return {redis.call('GET', 'none'), type(redis.call('GET', 'none')), redis.call('HMGET', 'none', 'f', 'g')}",
    "return {redis.call('INCRBY', 'n', 2) + 1.5, redis.call('PING'), redis.call('HGETALL', 'none')}",
    "redis.call('HSET', 'h', 1, 2, 0.1, 1/3) return redis.call('HGETALL', 'h')",
    "redis.call('SET', 'a', 1e20) return redis.call('GET', 'a')",
    "redis.call('SET', 'a', -0.1) return redis.call('GET', 'a')",
    "redis.call('ZADD', 'z', 0.1, 'm') return redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')",
    "redis.call('SET', 'a', '\\0\\255') return #redis.call('GET', 'a')",
    "redis.call('SET', 'a', 1) redis.call('PEXPIRE', 'a', 100000) return redis.call('PTTL', 'a')",
  ],
  'what fails': [
    "error('boom')",
    'error()',
    "error({err = 'X y'})",
    "local f = function()\n error('deep')\n end\n f()",
    "\n\nreturn redis.call('NOPE')",
    "return redis.call('GET')",
    'return redis.call()',
    'return redis.call(1, {})',
    "return redis.call('EVAL', 'return 1', 0)",
    "redis.call('SET', 'a', 'x') return redis.call('HGET', 'a', 'b')",
    "redis.call('SET', 'a', 'x') return redis.pcall('HGET', 'a', 'b')",
    "redis.call('SET', 'a', 'x') return {pcall(redis.call, 'HGET', 'a', 'b')}",
    "return redis.pcall('NOPE').err .. redis.pcall('GET').err",
    "redis.call('SET', 'a', 'kept') error('afterwards')",
    "return redis.call('GET', 'a')",
  ],
  'what a script may not do': [
    'x = 1',
    'return x',
    'KEYS = {}',
    '_G.x = 1',
    "rawset(_G, 'x', 1)",
    'string.format = 1',
    'redis.call = 1',
    "getmetatable('').__index = {}",
    'return io',
    "return os.execute('true')",
    "return require('fs')",
    'return print',
    'return debug.getinfo(1)',
  ],
  'what Redis offers': [
    "return {redis.error_reply('ONE two')}",
    "return redis.error_reply('word')",
    "return redis.error_reply('-word')",
    "return redis.error_reply('-low b')",
    'return redis.error_reply()',
    "return redis.status_reply('FINE')",
    "return redis.sha1hex('')",
    'return redis.sha1hex()',
  ],
  'Lua 5.1': [
    'return {unpack({1, 2, 3})}',
    "return loadstring('return 7')()",
    'return {table.getn({1, 2}), table.maxn({[7] = 1}), math.pow(2, 3), math.log10(1000), math.mod(7, 3)}',
    'return tostring(10 / 2) .. 3.0 .. 2^53 .. 1e15 .. 1/3 .. -0.00001 .. tostring(1e100)',
    'return tostring(0/0) .. tostring(1/0) .. tostring(-1/0)',
    "return {tonumber('0x10'), tonumber('0xffffffffff'), tonumber(' 12 '), tonumber('1e1'), tonumber('z', 36), tonumber('x')}",
    'return 100000 * 100000 + 2147483647 + 1',
    "return {'10' + 5, '3' * '4', 10 .. 20}",
    'local sum = 0 for i = 2147483640, 2147483650 do sum = sum + i end return tostring(sum)',
    "local t = {} t[1.0] = 'a' t[2] = 'b' return {t[1], t[2.0], #t}",
    "return {string.sub('abcdef', 2, -2), ('x'):rep(3), string.find('a.b', '.', 1, true), string.gsub('aXbX', 'X', '%%')}",
    "local found = {} for k, v in string.gmatch('a=1, b=2', '(%w+)=(%w+)') do found[#found + 1] = k .. v end return found",
    'local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return t',
    "local t = {} for i, v in ipairs({'a', 'b', nil, 'd'}) do t[i] = v end return t",
    "local t = {['\\n0'] = 1} t['\\163\\0'] = 2 t[1] = 3 t['1'] = 4 return {t['\\n0'], t['\\163\\0'], t[1], t['1'], t['\\1']}",
    "return {select('#', 1, nil, 3), select(2, 'a', 'b')}",
    'return {math.floor(-3.5), math.ceil(3.2), math.max(1, 7, 3), math.min(2, 1), 7 % 3, -7 % 3, 7.5 % 2, 2 ^ 0.5 * 1000}',
    "return getmetatable('').__index == string",
    'return {type(pairs), type(KEYS), type(nil), _VERSION}',
    "return string.format('%5.1f|%-8s|%+d|%05d|%x|%X|%o|%c|%i|%.3s|%%|%u', 3.14159, 'ab', 5, 42, 255, 255, 8, 65, 3.9, 'abcdef', 7)",
    "return string.format('%q', 'a\\n\"b\\\\\\0\\r')",
    "return string.format('%d %d %5d|%-5d|% d', 2^40, -2^40, 42, 42, 42)",
    "return string.format('%10s|%-10s|%.0s|%s', 'ab', 'ab', 'ab', 1.5)",
    "return string.format('%e %E %g %G %f', 12345.678, 12345.678, 1e-10, 1e20, 1/3)",
  ],
} as const;

const NOW = Date.UTC(2026, 10, 30, 12);

describeBothStores('the scripts of the embedded store', (urls) => {
  const { embedded: embeddedStore, answers } = askBothStores(urls);

  it.each(Object.entries(SNIPPETS))('answer as the real ones do: %s', async (_, snippets) => {
    const { embedded, real } = await answers(snippets.map((snippet) => ['EVAL', snippet, '0']));
    expect(embedded).toEqual(real);
  });

  it('say the same line where a script does not compile, and run no part of it', async () => {
    const { embedded, real } = await answers([
      ['EVAL', "redis.call('SET', 'a', 1)\n=", '0'],
      ['GET', 'a'],
    ]);
    const place = (all: typeof real) => all.map(({ reply }) => reply.split('user_script:2:')[0]);
    expect(place(embedded)).toEqual(place(real));
    expect(place(real)[0]).toBe('-ERR Error compiling script (new function): ');
  });

  it('write any number as the real ones do, and read it back', async () => {
    const conversion = fc.constantFrom(
      '%.0f',
      '%.1f',
      '%.3f',
      '%.6f',
      '%.14g',
      '%.17g',
      '%g',
      '%.3g',
      '%.0e',
      '%e',
      '%d',
    );
    const number = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      // Exact halves of a digit.
      fc.tuple(fc.integer({ min: -9999, max: 9999 }), fc.integer({ min: 0, max: 6 })).map(([n, bits]) => n / 2 ** bits),
      fc.tuple(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 0, max: 21 })).map(([n, e]) => n * 10 ** e),
    );
    const script = `local n = tonumber(ARGV[2])
      redis.call('SET', 'a', n)
      return {string.format(ARGV[1], n), tostring(n), n .. '', redis.call('GET', 'a'), tonumber(tostring(n)) == n}`;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(conversion, number), { minLength: 1, maxLength: 30 }), async (cases) => {
        const requests = cases.map(([format, value]) => ['EVAL', script, '0', format, String(value)]);
        const { embedded, real } = await answers(requests);
        expect(embedded).toEqual(real);
      }),
      { numRuns: 100 },
    );
  });

  it('keep 200 scripts, those that were used last', async () => {
    const embedded = embeddedStore();
    const text = (i: number) => `return ${i}`;
    const sha1 = (i: number) => createHash('sha1').update(text(i)).digest('hex');
    await embedded.of([['SCRIPT', 'FLUSH'], ...Array.from({ length: 200 }, (_, i) => ['EVAL', text(i), '0'])]);
    await embedded.of([
      ['EVALSHA', sha1(0), '0'],
      ['EVAL', text(200), '0'],
    ]);
    const [known] = await embedded.of([['SCRIPT', 'EXISTS', sha1(0), sha1(1), sha1(2), sha1(200)]]);
    expect(known).toBe('*4\r\n:1\r\n:0\r\n:1\r\n:1\r\n');
  });

  it('admit, claim and settle as in the real one, and leave the same behind', async () => {
    const settings = policy({
      plans: [{ name: 'standard', requestsPerMinute: 1, tokensPerMinute: 1 }],
      backends: ['first', 'second'].map((name) => ({
        name,
        capacityTokens: 900,
        breaker: { minimumCalls: 2, window: { kind: name === 'first' ? 'time' : 'count', size: 4 }, openMs: 3000 },
      })) as never,
    });
    const plan = resolvePlan({
      ...{ name: 'small', requestsPerMinute: 9, tokensPerMinute: 3000, tokensPerDay: 9000, parallelRequests: 3 },
      moneyPerMonth: 5,
    });
    const model = { ...settings.models[0]!, price: { inputPerMillionTokens: 1000, outputPerMillionTokens: 3000 } };
    const chain = settings.backends.map((backend, i) => ({ backend, share: i, counted: true, hasRoom: i === 0 }));
    const asked = (n: number, tokens: number): AdmitRequest => ({
      ...{
        id: `r${n}`,
        tenant: `t${n % 2}`,
        plan,
        model,
        inputTokens: tokens,
        outputTokens: 20,
        leaseMs: 20_000,
        chain,
      },
      cache: {
        ...{ key: `entry:${n % 3}`, freshMs: 4000, softMs: 9000, waits: n % 2 === 0, leads: true },
        ...{ staleAllowed: true, retainMs: 60_000, onlyIfCached: n % 7 === 6 },
      },
      ...(n % 4 === 3 && { idempotency: { key: `claim:${n % 3}`, digest: `d${n % 2}` } }),
    });
    const entry = { contentType: 'text/plain', servedBy: 'first', body: 'grüße \0 ☃' };
    const outcome = fc.constantFrom('success', 'failure', 'slowSuccess', 'slowFailure', 'ignored') as fc.Arbitrary<
      CallOutcome['outcome']
    >;
    const step = fc.record({
      kind: fc.constantFrom('admit', 'admit', 'settle', 'claim'),
      n: fc.nat(11),
      tokens: fc.integer({ min: 0, max: 700 }),
      pauseMs: fc.integer({ min: 0, max: 5000 }),
      outcome,
      backend: fc.nat(1),
      stores: fc.boolean(),
      random: fc.double({ min: 0, max: 0.99, noNaN: true }),
    });
    const keys = [
      ...['t0', 't1'].flatMap((tenant) => [`{${tenant}}:limits`]),
      ...settings.backends.map(({ name }) => breakerKey(name)),
      ...[0, 1, 2].flatMap((i) => [`entry:${i}`, `claim:${i}`]),
    ];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        let now = NOW;
        const requests = steps.map(({ kind, n, tokens, pauseMs, outcome, backend: at, stores: isStored, random }) => {
          now += pauseMs;
          const admitted = asked(n, tokens);
          const { backend } = chain[at]!;
          const command: Command =
            kind === 'admit'
              ? admitCommand(admitted, chargesOf(admitted, now), () => random)
              : kind === 'settle'
                ? settleCommand({
                    ...{ admitted, loadedAt: backend.name, used: { inputTokens: tokens, outputTokens: 5 } },
                    outcomes: [{ backend, id: admitted.id, probe: false, outcome, cooldownMs: tokens }],
                    ...(isStored && { entry }),
                  })
                : {
                    script: SCRIPTS.claim,
                    keys: [breakerKey(backend.name)],
                    args: [admitted.id, '9000', '1', '60000'],
                  };
          return evalRequest(command, now);
        });
        const { embedded, real } = await answers([
          ...requests,
          // Fields in the order of their names: Redis keeps none, nor does Lua.
          ...keys.map((key) => ['EVAL', SORTED_FIELDS, '1', key]),
          ...['t0', 't1'].map((tenant) => ['ZRANGE', `{${tenant}}:parallel`, '0', '-1', 'WITHSCORES']),
        ]);
        expect(embedded).toEqual(real);
      }),
      { numRuns: 60 },
    );
  });
});

const SORTED_FIELDS = `local known, lines = redis.call('HGETALL', KEYS[1]), {}
  for i = 1, #known, 2 do lines[#lines + 1] = known[i] .. '=' .. known[i + 1] end
  table.sort(lines) return lines`;

/** A script at a moment of the test's; the texts become bytes. */
function evalRequest(command: Command, now: number): Request {
  if (!('script' in command)) throw new Error('only scripts have a clock');
  const time = `{ '${Math.floor(now / 1000)}', '${(now % 1000) * 1000}' }`;
  const text = command.script.text.replace("redis.call('TIME')", time);
  return ['EVAL', text, String(command.keys.length), ...command.keys, ...command.args].map((part) =>
    Buffer.from(part).toString('latin1'),
  );
}
