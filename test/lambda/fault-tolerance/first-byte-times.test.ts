import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FirstByteTimes } from '../../../lambda/fault-tolerance/first-byte-times';

const noted = (times: readonly number[]) => {
  const kept = new FirstByteTimes();
  for (const ms of times) kept.note('stream', ms);
  return kept;
};
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('the times of first bytes', () => {
  it('say nothing before 20 calls were measured', () => {
    expect(noted(range(1, 19)).percentile('stream', 0.95)).toBeUndefined();
    expect(noted(range(1, 20)).percentile('stream', 0.95)).toBe(19);
    expect(new FirstByteTimes().percentile('stream', 0.5)).toBeUndefined();
  });

  it('keep kinds of calls apart', () => {
    const kept = noted(range(1, 100));
    for (const ms of range(1001, 1020)) kept.note('whole', ms);
    expect([kept.percentile('stream', 0.5), kept.percentile('whole', 0.5)]).toEqual([50, 1010]);
  });

  it('follow the last 100 calls', () => {
    expect(noted([...range(1, 5000), ...range(1, 100)]).percentile('stream', 0.999)).toBe(100);
  });

  it('give a time that at least the share of the kept calls came within, and no greater one than needed', () => {
    const times = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 20, maxLength: 250 });
    fc.assert(
      fc.property(times, fc.double({ min: 0.5, max: 0.999, noNaN: true }), (all, share) => {
        const kept = all.slice(-100);
        const limit = noted(all).percentile('stream', share)!;
        const within = kept.filter((ms) => ms <= limit).length;
        const below = kept.filter((ms) => ms < limit).length;
        expect(within).toBeGreaterThanOrEqual(share * kept.length - 1e-9);
        expect(below).toBeLessThan(share * kept.length);
      }),
    );
  });
});
