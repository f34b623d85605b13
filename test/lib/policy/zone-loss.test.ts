import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { capacityForZoneLoss, ONE_UNIT } from '../../../lib/policy/zone-loss';

const needs = fc.nat(500);
const zones = fc.integer({ min: 2, max: 6 });
const weights = fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 });

describe('enough without a zone', () => {
  it('is the least number of instances of which the rest does when the fullest zone is lost', () => {
    fc.assert(
      fc.property(needs, zones, (needed, count) => {
        const left = (size: number) => size - Math.ceil(size / count);
        const size = capacityForZoneLoss(needed, count, ONE_UNIT);
        expect(left(size)).toBeGreaterThanOrEqual(needed);
        if (size > 0) expect(left(size - 1)).toBeLessThan(needed);
      }),
    );
  });

  it('does with weights, whatever types the zones had of which Auto Scaling gave each as many instances', () => {
    fc.assert(
      fc.property(needs, zones, weights, fc.infiniteStream(fc.nat(100)), (needed, count, types, chances) => {
        const units = { smallest: Math.min(...types), largest: Math.max(...types), step: 1 };
        const wanted = capacityForZoneLoss(needed, count, units);
        // The first zone gets the largest type, the others whichever: instances in turns until the capacity is there.
        const had = new Array<number>(count).fill(0);
        for (let i = 0; had.reduce((sum, each) => sum + each) < wanted; i++) {
          had[i % count]! += i % count === 0 ? units.largest : types[(chances.next().value as number) % types.length]!;
        }
        const lost = Math.max(...had);
        expect(had.reduce((sum, each) => sum + each) - lost).toBeGreaterThanOrEqual(needed);
      }),
    );
  });

  it.each([
    ['two instances of weight 12 beside the one that is lost', 24, { smallest: 12, largest: 12, step: 12 }, 36],
    ['less than one of them, with one to lose', 8, { smallest: 12, largest: 12, step: 12 }, 20],
    ['two of weight 1 beside one of weight 3', 2, { smallest: 1, largest: 3, step: 1 }, 5],
  ])('is %s', (_, needed, units, capacity) => {
    expect(capacityForZoneLoss(needed, 3, units)).toBe(capacity);
  });

  it('is not to be had in a single zone', () => {
    expect(capacityForZoneLoss(1, 1, ONE_UNIT)).toBe(Infinity);
  });
});
