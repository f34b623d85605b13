import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { followWork, workAhead, type WorkMemory } from '../../../lambda/auto-scaling/work';

const RATED = 10_000;

/** The work that is reckoned with after readings, ten seconds apart. */
function ahead(tokens: readonly number[], inService = 4): number {
  let memory: WorkMemory | undefined;
  tokens.forEach((value, i) => {
    memory = followWork(memory, { value, at: i * 10_000 }, inService, RATED);
  });
  return workAhead(memory!, RATED);
}

const steady = (tokens: number) => new Array<number>(200).fill(tokens);

describe('the work of a fleet', () => {
  it('is its size where each instance is at its rating, and none without tokens', () => {
    expect(ahead([4 * RATED])).toBeCloseTo(4);
    expect(ahead([0])).toBe(0);
  });

  it('is more than half of its size at half of the rating: a server with fewer requests is quicker with each', () => {
    expect(ahead([2 * RATED])).toBeGreaterThan(2.5);
    expect(ahead([2 * RATED])).toBeLessThan(4);
  });

  it('grows on where requests queue, and never falls with more tokens', () => {
    expect(ahead([12 * RATED])).toBeGreaterThan(5);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 }), fc.nat(1e6), fc.nat(1e6), (inService, some, more) => {
        expect(ahead([some + more], inService)).toBeGreaterThanOrEqual(ahead([some], inService));
      }),
    );
  });

  it('is all of it where no instance serves', () => {
    expect(ahead([3 * RATED], 0)).toBeCloseTo(3);
  });

  it('does not follow a single reading, but does follow what stays', () => {
    const calm = steady(20_000);
    const before = ahead(calm);
    expect(ahead([...calm, 40_000]) / before).toBeLessThan(1.2);
    expect(ahead([...calm, ...steady(40_000)])).toBeCloseTo(4);
  });

  it('is ahead of work that grows and below work that falls', () => {
    const rise = Array.from({ length: 100 }, (_, i) => 10_000 + 200 * i);
    const [growing, shrinking] = [rise, [...rise].reverse()];
    const trend = (0.2 * 100 * 15) / RATED;
    const without = (tokens: readonly number[]) => {
      let memory: WorkMemory | undefined;
      tokens.forEach((value, i) => (memory = followWork(memory, { value, at: i * 10_000 }, 4, RATED)));
      return memory!.work;
    };
    expect(ahead(growing) - without(growing)).toBeCloseTo(trend);
    expect(ahead(shrinking) - without(shrinking)).toBeCloseTo(-trend);
  });

  it('comes to nothing in the end, and not before the last request', () => {
    expect(ahead([...steady(20_000), ...steady(0)])).toBe(0);
    expect(ahead([...steady(20_000), ...steady(1)])).toBeGreaterThan(0);
    expect(ahead([...steady(20_000), 0])).toBeGreaterThan(1);
  });

  it('begins anew after a gap, and hears a reading once', () => {
    const first = followWork(undefined, { value: 0, at: 0 }, 4, RATED);
    expect(followWork(first, { value: 40_000, at: 61_000 }, 4, RATED)).toMatchObject({ work: 4, trend: 0 });
    const second = followWork(first, { value: 40_000, at: 10_000 }, 4, RATED);
    expect(followWork(second, { value: 40_000, at: 10_000 }, 4, RATED)).toBe(second);
  });
});
