import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { resolvePlan } from '../../../lib/policy/defaults';
import { slotsBelowCeiling } from '../../../lambda/rate-limiting/ceiling';
import { chargesOf } from '../../../lambda/rate-limiting/charges';
import { admit } from '../../../lambda/rate-limiting/gcra';
import { LocalLimits } from '../../../lambda/rate-limiting/local-limits';
import { admitMoney, type MoneySpent } from '../../../lambda/rate-limiting/money';

const NOW = Date.UTC(2026, 10, 10);
const model = { name: 'llama', price: { inputPerMillionTokens: 1000, outputPerMillionTokens: 0 } };
const plan = resolvePlan({
  name: 'p',
  requestsPerMinute: 100,
  tokensPerMinute: 10_000,
  tokensPerDay: 50_000,
  moneyPerMonth: 40,
  parallelRequests: 1,
});

describe('below a ceiling', () => {
  it('background work of any size and pace leaves the rest of every limit to an interactive request', () => {
    const job = fc.record({ tokens: fc.integer({ min: 0, max: 3000 }), pauseMs: fc.integer({ min: 0, max: 5000 }) });
    const ceiling = fc.integer({ min: 30, max: 99 }).map((percent) => percent / 100);
    fc.assert(
      fc.property(fc.array(job, { maxLength: 60 }), ceiling, (jobs, share) => {
        let arrivals: readonly (number | undefined)[] = [];
        let money: MoneySpent | undefined;
        let now = NOW;
        for (const { tokens, pauseMs } of jobs) {
          now += pauseMs;
          const charges = chargesOf({ plan, model, inputTokens: tokens, outputTokens: 0, ceiling: share }, now);
          const verdict = admit(charges.limits, arrivals, now);
          const bill = admitMoney(charges.money!, money, now);
          if (!verdict.admitted || !bill.admitted) continue;
          arrivals = verdict.arrivals;
          money = bill.after;
          const rest = Math.floor(Math.min(10_000 * (1 - share), 50_000 * (1 - share), 40_000 * (1 - share))) - 1;
          const urgent = chargesOf({ plan, model, inputTokens: rest, outputTokens: 0 }, now);
          expect(admit(urgent.limits, arrivals, now).admitted).toBe(true);
          expect(admitMoney(urgent.money!, money, now).admitted).toBe(true);
        }
      }),
    );
  });

  it('a request larger than the share runs where nothing else is spent, and waits for just that', () => {
    const large = { plan, model, inputTokens: 9000, outputTokens: 0, ceiling: 0.5 };
    const { limits, money } = chargesOf(large, NOW);
    expect(admit(limits, [], NOW).admitted).toBe(true);
    expect(admitMoney({ ...money!, cost: 30 }, undefined, NOW).admitted).toBe(false);
    const spent = limits.map(({ limit }) => NOW + (limit === 'tokens' ? 250 : 0));
    const refused = admit(limits, spent, NOW);
    expect(refused.retryAfterMs).toBe(250);
    expect(admit(limits, spent, NOW + refused.retryAfterMs).admitted).toBe(true);
  });

  it('holds in a function that has lost the store, too', () => {
    const limits = new LocalLimits();
    const job = { plan, model, inputTokens: 1, outputTokens: 0, ceiling: 0.25 };
    const admitted = Array.from({ length: 50 }, () => limits.admit('acme', job, NOW)).filter((v) => v.admitted);
    expect(admitted).toHaveLength(25);
    const { ceiling: _, ...urgent } = job;
    expect(limits.admit('acme', urgent, NOW).admitted).toBe(true);
  });

  it.each([
    [32, 0.7, 22],
    [100, 0.29, 29],
    [1, 0.1, 1],
    [10, 1, 10],
  ])('%i parallel requests at %d are %i', (slots, ceiling, expected) => {
    expect(slotsBelowCeiling(slots, ceiling)).toBe(expected);
  });
});
