import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { batchWorkers } from '../../../lib/policy/batch-workers';

describe('the workers of background work', () => {
  it.each([
    [2, { workers: 2, itemsEach: 1 }],
    [9, { workers: 2, itemsEach: 4 }],
    [13, { workers: 2, itemsEach: 5 }],
    [50, { workers: 10, itemsEach: 5 }],
    [5001, { workers: 833, itemsEach: 6 }],
    [10_000, { workers: 1000, itemsEach: 10 }],
  ])('for %i items at once', (parallelItems, expected) => {
    expect(batchWorkers({ parallelItems })).toEqual(expected);
  });

  it('never have more in progress than the policy allows, nor less than half of it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 10_000 }), (parallelItems) => {
        const { workers, itemsEach } = batchWorkers({ parallelItems });
        expect(workers * itemsEach).toBeLessThanOrEqual(parallelItems);
        expect(workers * itemsEach).toBeGreaterThan(parallelItems / 2);
        expect(workers).toBeGreaterThanOrEqual(2);
        expect(workers).toBeLessThanOrEqual(1000);
      }),
    );
  });
});
