import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { resolvePlan, type ResolvedPlan } from '../../../lib/policy/defaults';
import type { CacheUse } from '../../../lambda/caching/entry';
import type { Admission, AdmitRequest, Settlement } from '../../../lambda/gateway/request-store';
import { type Charges, chargesOf } from '../../../lambda/rate-limiting/charges';
import { admit, fieldOf, settle } from '../../../lambda/rate-limiting/gcra';
import { admitMoney, type MoneySpent, settleMoney } from '../../../lambda/rate-limiting/money';
import { admissionOf, admitCommand } from '../../../lambda/store/admission-script';
import { settleCommand } from '../../../lambda/store/settlement-script';
import { describeEachStore } from '../../store-servers';
import { policy } from '../policy';
import { ClockedScripts } from '../store-commands';

const NOW = Date.UTC(2026, 10, 30, 23, 59, 0);
const LEASE_MS = 10_000;

const model = { ...policy().models[0]!, price: { inputPerMillionTokens: 1000, outputPerMillionTokens: 3000 } };

const small = resolvePlan({
  name: 'small',
  requestsPerMinute: 7,
  tokensPerMinute: 1000,
  tokensPerDay: 3000,
  moneyPerMonth: 5,
  parallelRequests: 1000,
  modelLimits: [{ model: model.name, requestsPerMinute: 5, tokensPerMinute: 700 }],
});

describeEachStore('the limits in the store', (url) => {
  let scripts: ClockedScripts;
  let tenant: string;
  let tenants = 0;
  beforeAll(() => {
    scripts = new ClockedScripts(url());
  });
  beforeEach(() => {
    tenant = `t${tenants++}`;
  });
  afterAll(() => {
    scripts.close();
  });

  const request = (id: string, inputTokens: number, changes: Partial<AdmitRequest> = {}): AdmitRequest => ({
    ...{ id, tenant, plan: small, model, inputTokens, outputTokens: 0, leaseMs: LEASE_MS, chain: [] },
    ...changes,
  });
  const ask = async (asked: AdmitRequest, now: number): Promise<Admission> => {
    const charges = chargesOf(asked, now);
    return admissionOf(
      await scripts.runCommand(
        admitCommand(asked, charges, () => 0),
        now,
      ),
      asked,
      charges,
    );
  };
  const finish = (settlement: Partial<Settlement> & Pick<Settlement, 'admitted'>, now: number) =>
    scripts.runCommand(settleCommand({ used: settlement.admitted, outcomes: [], ...settlement }), now);

  /** The state of the reference, and what it says to a request. */
  function judged(arrivals: ReadonlyMap<string, number>, money: MoneySpent | undefined, charges: Charges, now: number) {
    const known = charges.limits.map((charge) => arrivals.get(fieldOf(charge)));
    const verdict = admit(charges.limits, known, now);
    const bill = admitMoney(charges.money!, money, now);
    const moneyWaits = !bill.admitted && bill.retryAfterMs > verdict.retryAfterMs;
    const refusedBy = moneyWaits ? { limit: 'money' as const } : verdict.refusedBy;
    return { verdict, bill, refusedBy, retryAfterMs: Math.max(verdict.retryAfterMs, bill.retryAfterMs) };
  }

  it('agree with the reference, step by step, on any sequence of requests: plan, model and money, interactive and background', async () => {
    const step = fc.record({
      tokens: fc.integer({ min: 0, max: 700 }),
      output: fc.integer({ min: 0, max: 700 }),
      pauseMs: fc.integer({ min: 0, max: 20_000 }),
      used: fc.integer({ min: 0, max: 1500 }),
      ceiling: fc.constantFrom(undefined, 0.3, 0.7, 1),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        tenant = `t${tenants++}`;
        const arrivals = new Map<string, number>();
        let money: MoneySpent | undefined;
        let now = NOW;
        for (const [i, { tokens, output, pauseMs, used, ceiling }] of steps.entries()) {
          now += pauseMs;
          const asked = request(`r${i}`, tokens, { outputTokens: output, ...(ceiling && { ceiling }) });
          const charges = chargesOf(asked, now);
          const expected = judged(arrivals, money, charges, now);
          const admission = await ask(asked, now);
          expect(admission.verdict).toBe(expected.refusedBy ? 'limited' : 'admitted');
          expect(admission.refusedBy).toEqual(
            expected.refusedBy && {
              limit: expected.refusedBy.limit,
              ...('model' in expected.refusedBy && { model: expected.refusedBy.model }),
            },
          );
          expect(admission.retryAfterMs).toBeCloseTo(expected.retryAfterMs, 1);
          if (expected.refusedBy) continue;
          expect(admission.limits.map(({ arrival }) => arrival)).toEqual(expected.verdict.arrivals);
          const actual = { inputTokens: used, outputTokens: output };
          await finish({ admitted: asked, used: actual }, now);
          const after = chargesOf({ ...asked, ...actual }, now);
          charges.limits.forEach((charge, j) => {
            const difference = after.limits[j]!.cost - charge.cost;
            arrivals.set(fieldOf(charge), settle(expected.verdict.arrivals[j], difference, charge.emissionMs, now));
          });
          money = settleMoney(expected.bill.after, after.money!.cost - charges.money!.cost, now);
          const [spent] = await scripts.fields(`{${tenant}}:limits`, ['money']);
          expect(Number(spent)).toBeCloseTo(money!.spent, 6);
        }
      }),
      { numRuns: 25 },
    );
  });

  const slots = (parallelRequests: number): { plan: ResolvedPlan } => ({ plan: { ...small, parallelRequests } });

  it('hold parallel requests, free a slot when one settles, and when a crashed one has lost its lease', async () => {
    const two = slots(2);
    expect((await ask(request('a', 1, two), NOW)).verdict).toBe('admitted');
    expect((await ask(request('b', 1, two), NOW)).verdict).toBe('admitted');
    expect(await ask(request('c', 1, two), NOW)).toMatchObject({
      verdict: 'limited',
      refusedBy: { limit: 'parallel' },
      retryAfterMs: 1000,
    });
    await finish({ admitted: request('a', 1, two) }, NOW);
    expect((await ask(request('c', 1, two), NOW)).verdict).toBe('admitted');
    expect((await ask(request('d', 1, two), NOW + LEASE_MS - 1)).verdict).toBe('limited');
    expect((await ask(request('d', 1, two), NOW + LEASE_MS)).verdict).toBe('admitted');
  });

  it('let background work take its share of the parallel requests, and interactive requests the rest', async () => {
    const urgent = {
      plan: resolvePlan({ name: 'p', requestsPerMinute: 60, tokensPerMinute: 600, parallelRequests: 4 }),
    };
    const jobs = { ...urgent, ceiling: 0.5 };
    expect((await ask(request('a', 1, jobs), NOW)).verdict).toBe('admitted');
    expect((await ask(request('b', 1, jobs), NOW)).verdict).toBe('admitted');
    expect((await ask(request('c', 1, jobs), NOW)).refusedBy).toEqual({ limit: 'parallel' });
    expect((await ask(request('d', 1, urgent), NOW)).verdict).toBe('admitted');
    expect((await ask(request('e', 1, urgent), NOW)).verdict).toBe('admitted');
    await finish({ admitted: request('a', 1, jobs) }, NOW);
    expect((await ask(request('f', 1, jobs), NOW)).refusedBy).toEqual({ limit: 'parallel' });
  });

  const cached = (changes: Partial<CacheUse> = {}): { cache: CacheUse } => ({
    cache: {
      ...{ key: `{${tenant}}:cache:x`, freshMs: 5000, softMs: 0, waits: true, leads: true, staleAllowed: true },
      ...{ retainMs: 60_000, onlyIfCached: false, ...changes },
    },
  });
  const entry = { contentType: 'application/json', servedBy: 'gpu', body: '{"é":1}' };

  it('charge a stored answer one request, no tokens and no slot, and give it out only while it is fresh', async () => {
    const one = slots(1);
    const alone = cached({ waits: false, leads: false });
    const first = request('a', 100, { ...one, ...alone });
    expect((await ask(first, NOW)).verdict).toBe('admitted');
    await finish({ admitted: first, entry }, NOW);
    const hit = await ask(request('b', 100, { ...one, ...alone }), NOW + 4999);
    expect(hit).toMatchObject({ verdict: 'hit', entry: { ...entry, ageMs: 4999 }, entryIsStale: false });
    expect(hit.limits.find(({ charge }) => fieldOf(charge) === 'tokens')!.arrival).toBe(NOW + 6000);
    expect((await ask(request('c', 100, { ...one, ...alone }), NOW + 5000)).verdict).toBe('admitted');
    const only = cached({ onlyIfCached: true, freshMs: 10 });
    expect((await ask(request('d', 100, { ...slots(2), ...only }), NOW + 5000)).verdict).toBe('uncached');
    expect((await ask(request('e', 1, { ...one, ...alone }), NOW + 5000)).refusedBy).toEqual({ limit: 'parallel' });
  });

  it('let identical requests wait for the first, charge each its request, and let them have its answer', async () => {
    const leader = request('a', 100, cached());
    expect((await ask(leader, NOW)).verdict).toBe('admitted');
    const follower = request('b', 100, { ...cached(), ...slots(2) });
    const waiting = await ask(follower, NOW + 1);
    expect(waiting.verdict).toBe('wait');
    expect(waiting.limits.map(({ arrival }) => arrival - NOW)[2]).toBe(6000);
    expect((await ask(request('c', 1, { ...cached(), ...slots(2) }), NOW + 1)).refusedBy).toEqual({
      limit: 'parallel',
    });
    await finish({ admitted: leader, entry }, NOW + 50);
    const requestsSpent = await scripts.fields(`{${tenant}}:limits`, ['requests']);
    expect(await ask({ ...follower, hasWaited: true }, NOW + 60)).toMatchObject({ verdict: 'hit', entry });
    expect(await scripts.fields(`{${tenant}}:limits`, ['requests'])).toEqual(requestsSpent);
    expect((await ask(request('d', 1, { ...slots(1), ...cached({ key: 'other' }) }), NOW + 60)).verdict).toBe(
      'admitted',
    );
  });

  it('let who has waited compute when the first has failed or crashed', async () => {
    const leader = request('a', 1, cached());
    await ask(leader, NOW);
    await ask(request('b', 1, cached()), NOW);
    await finish({ admitted: leader }, NOW + 1);
    expect((await ask(request('b', 1, { ...cached(), hasWaited: true }), NOW + 2)).verdict).toBe('admitted');
    await ask(request('c', 1, cached({ key: `{${tenant}}:cache:y` })), NOW);
    expect((await ask(request('d', 1, cached({ key: `{${tenant}}:cache:y` })), NOW + LEASE_MS)).verdict).toBe(
      'admitted',
    );
  });

  it('serve an answer past its time to all but one, who computes it anew; and to that one where its limits are spent', async () => {
    const soft = cached({ softMs: 20_000 });
    const first = request('a', 100, soft);
    await ask(first, NOW);
    await finish({ admitted: first, entry }, NOW);
    const renewing = await ask(request('b', 600, soft), NOW + 6000);
    expect(renewing).toMatchObject({ verdict: 'revalidate', entry, entryIsStale: true });
    expect(await ask(request('c', 1, soft), NOW + 6001)).toMatchObject({ verdict: 'hit', entry, entryIsStale: true });
    await finish({ admitted: request('b', 600, soft) }, NOW + 6002);
    const spent = await ask(request('d', 699, soft), NOW + 6003);
    expect(spent).toMatchObject({ verdict: 'hit', entryIsStale: true });
    expect((await ask(request('e', 1, soft), NOW + 25_000)).verdict).toBe('admitted');
  });
});
