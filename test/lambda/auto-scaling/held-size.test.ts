import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type HeldSize, hold } from '../../../lambda/auto-scaling/held-size';

const SECONDS = 60;

/** What is held after each of these, ten seconds apart. */
function heldAfter(wanted: readonly number[], size = 0): number[] {
  let held: readonly HeldSize[] | undefined;
  return wanted.map((instances, i) => {
    held = hold(held, i * 10_000, instances, { seconds: SECONDS, size });
    return held[0]!.instances;
  });
}

describe('what a fleet holds', () => {
  it('grows at once, and shrinks to the most that was wanted since', () => {
    expect(heldAfter([3, 5, 4, 2, 2, 2, 2, 2, 2, 2])).toEqual([3, 5, 5, 5, 5, 5, 5, 5, 4, 2]);
  });

  it('is the size that there is, where nothing is known of what was wanted', () => {
    expect(heldAfter([2, 2, 2, 2, 2, 2, 2, 2], 6)).toEqual([6, 6, 6, 6, 6, 6, 6, 2]);
    expect(hold([{ at: 0, instances: 9 }], 61_000, 2, { seconds: SECONDS, size: 6 })[0]).toEqual({
      ...{ at: 61_000, instances: 6 },
    });
  });

  it('is the most that was wanted in its time, always', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 60 }), (wanted) => {
        heldAfter(wanted).forEach((held, i) => {
          expect(held).toBe(Math.max(...wanted.slice(Math.max(0, i - SECONDS / 10), i + 1)));
        });
      }),
    );
  });
});
