import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { admit, type Charge, remaining, settle } from '../../../lambda/rate-limiting/gcra';

const NOW = 1_760_000_000_000;

function charge(cost: number, perMinute = 60, limit: Charge['limit'] = 'tokens'): Charge {
  return { limit, cost, emissionMs: 60_000 / perMinute, burstMs: 60_000 };
}

describe('a limit', () => {
  it('lets a rested client spend a full burst, unit by unit, and no more', () => {
    for (const perMinute of [1, 7, 60, 601]) {
      let arrivals: readonly number[] = [0];
      for (let spent = 0; spent < perMinute; spent++) {
        const verdict = admit([charge(1, perMinute)], arrivals, NOW);
        expect(verdict.admitted).toBe(true);
        arrivals = verdict.arrivals;
      }
      expect(admit([charge(1, perMinute)], arrivals, NOW).admitted).toBe(false);
    }
  });

  it('charges nothing for a refused request, not even at limits that had room', () => {
    const charges = [charge(1, 600, 'requests'), charge(61)];
    const verdict = admit(charges, [NOW + 5, NOW + 7], NOW);
    expect(verdict).toMatchObject({ admitted: false, refusedBy: { limit: 'tokens' }, arrivals: [NOW + 5, NOW + 7] });
  });

  it('keeps the promise of its retry-after', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.double({ min: 0, max: 200_000, noNaN: true }), (cost, debt) => {
        const verdict = admit([charge(cost)], [NOW + debt], NOW);
        const again = admit([charge(cost)], verdict.arrivals, NOW + verdict.retryAfterMs);
        return verdict.admitted || again.admitted;
      }),
    );
  });

  it('carries a debt: who used more than estimated waits longer', () => {
    const { arrivals } = admit([charge(10)], [undefined], NOW);
    const indebted = settle(arrivals[0], 100, 1000, NOW);
    expect(admit([charge(1)], [indebted], NOW).retryAfterMs).toBeCloseTo(51_000, 0);
  });

  it('gives back what was not used, and never more than a full burst', () => {
    const { arrivals } = admit([charge(50)], [undefined], NOW);
    const refunded = settle(arrivals[0], -50, 1000, NOW);
    expect(remaining(charge(0), refunded, NOW)).toEqual({ units: 60, resetMs: 0 });
    expect(remaining(charge(0), settle(refunded, -50, 1000, NOW), NOW).units).toBe(60);
  });
});
