import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import admitText from '../../../lambda/rate-limiting/admit.lua';
import { admit, type Charge, settle } from '../../../lambda/rate-limiting/gcra';
import settleText from '../../../lambda/rate-limiting/settle.lua';
import { describeEachStore } from '../../store-servers';
import { ClockedScripts } from '../store-commands';

const NOW = 1_760_000_000_000;
const LEASE_MS = 10_000;

describeEachStore('the limits in the store', (url) => {
  let scripts: ClockedScripts;
  let tenants = 0;
  beforeAll(() => {
    scripts = new ClockedScripts(url());
  });
  afterAll(() => {
    scripts.close();
  });

  const keysOf = (tenant: number) => [`{t${tenant}}:limits`, `{t${tenant}}:parallel`];
  const chargesOf = (tokens: number): Charge[] => [
    { limit: 'requests', cost: 1, emissionMs: 60_000 / 7, burstMs: 60_000 },
    { limit: 'tokens', cost: tokens, emissionMs: 60_000 / 1000, burstMs: 60_000 },
    { limit: 'tokensPerDay', cost: tokens, emissionMs: 86_400_000 / 3000, burstMs: 86_400_000 },
  ];
  const ask = async (keys: string[], id: string, tokens: number, now: number, slots = 1000, cache = [0, 0]) => {
    const limits = chargesOf(tokens).flatMap(({ limit, cost, emissionMs, burstMs }) => [
      limit,
      cost * emissionMs,
      burstMs,
    ]);
    return (await scripts.run(admitText, now, keys, [id, slots, LEASE_MS, ...cache, '', ...limits])) as string[];
  };
  const finish = (keys: string[], id: string, difference: number, now: number) =>
    scripts.run(settleText, now, keys, [
      ...[id, LEASE_MS, '', '', '', '', 0, ''],
      ...chargesOf(0)
        .slice(1)
        .flatMap(({ limit, emissionMs }) => [limit, difference * emissionMs]),
    ]);

  it('agree with the reference, step by step, on any sequence of requests', async () => {
    const step = fc.record({
      tokens: fc.integer({ min: 0, max: 1000 }),
      pauseMs: fc.integer({ min: 0, max: 20_000 }),
      difference: fc.integer({ min: -1000, max: 1000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const keys = keysOf(tenants++);
        let arrivals: (number | undefined)[] = [];
        let now = NOW;
        for (const [i, { tokens, pauseMs, difference }] of steps.entries()) {
          now += pauseMs;
          const expected = admit(chargesOf(tokens), arrivals, now);
          const [verdict, , refusedBy, retry, joined] = await ask(keys, `r${i}`, tokens, now);
          expect({
            verdict,
            refusedBy,
            retry: Number(retry).toFixed(2),
            arrivals: joined!.split(',').map(Number),
          }).toEqual({
            verdict: expected.admitted ? 'admitted' : 'limited',
            refusedBy: expected.refusedBy ?? '',
            retry: expected.retryAfterMs.toFixed(2),
            arrivals: expected.arrivals,
          });
          if (!expected.admitted) continue;
          const [requests, ...rest] = expected.arrivals;
          const used = Math.max(difference, -tokens);
          arrivals = [
            requests,
            ...rest.map((arrival, j) => settle(arrival, used, chargesOf(0)[j + 1]!.emissionMs, now)),
          ];
          await finish(keys, `r${i}`, used, now);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('hold parallel requests, free a slot when one settles, and when a crashed one has lost its lease', async () => {
    const keys = keysOf(tenants++);
    expect((await ask(keys, 'a', 1, NOW, 2))[0]).toBe('admitted');
    expect((await ask(keys, 'b', 1, NOW, 2))[0]).toBe('admitted');
    expect((await ask(keys, 'c', 1, NOW, 2)).slice(0, 4)).toEqual([
      'limited',
      expect.any(String),
      'parallel',
      '1000.000',
    ]);
    await finish(keys, 'a', 0, NOW);
    expect((await ask(keys, 'c', 1, NOW, 2))[0]).toBe('admitted');
    expect((await ask(keys, 'd', 1, NOW + LEASE_MS - 1, 2))[0]).toBe('limited');
    expect((await ask(keys, 'd', 1, NOW + LEASE_MS, 2))[0]).toBe('admitted');
  });

  it('charge a stored answer one request, no tokens and no slot, and give it out only while it is fresh', async () => {
    const keys = [...keysOf(tenants), `{t${tenants++}}:cache:x`];
    expect((await ask(keys, 'a', 100, NOW, 1, [5000, 0]))[0]).toBe('admitted');
    await scripts.run(settleText, NOW, keys, ['a', LEASE_MS, 60_000, 'application/json', 'gpu', '{"é":1}', 0]);
    const hit = await ask(keys, 'b', 100, NOW + 4999, 1, [5000, 0]);
    expect([hit[0], ...hit.slice(6)]).toEqual(['hit', 'application/json', 'gpu', '{"é":1}']);
    expect(Number(hit[4]!.split(',')[1])).toBe(NOW + 6000);
    expect((await ask(keys, 'c', 100, NOW + 5000, 1, [5000, 0]))[0]).toBe('admitted');
    expect((await ask(keys, 'd', 100, NOW + 5000, 2, [10, 1])).slice(0, 1)).toEqual(['uncached']);
    expect((await ask(keys, 'e', 1, NOW + 5000, 1, [10, 0])).slice(2, 3)).toEqual(['parallel']);
  });
});
