import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EventQueue } from '../../../bin/simulate/event-queue';

describe('EventQueue', () => {
  test('gives events by their time, and those of the same time in the order of their adding', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 3000 }), (times) => {
        const queue = new EventQueue();
        times.forEach((time, index) => queue.add(time, index % 7, index, index + 1));
        const taken: number[] = [];
        while (queue.take()) {
          expect(queue.time).toBe(times[queue.subject]);
          expect(queue.kind).toBe(queue.subject % 7);
          expect(queue.version).toBe(queue.subject + 1);
          taken.push(queue.subject);
        }
        const sorted = times.map((_, index) => index).sort((a, b) => times[a]! - times[b]! || a - b);
        expect(taken).toEqual(sorted);
      }),
    );
  });

  test('stays in order while events are added and taken in turns', () => {
    const queue = new EventQueue();
    let seen = -1;
    for (let round = 0; round < 5000; round++) {
      queue.add(seen + ((round * 7919) % 101) + 1, 1, round);
      queue.add(seen + ((round * 104_729) % 37) + 1, 1, round);
      queue.take();
      expect(queue.time).toBeGreaterThanOrEqual(seen);
      seen = queue.time;
    }
    expect(queue.size).toBe(5000);
  });

  test('refuses a time that is no number', () => {
    expect(() => new EventQueue().add(NaN, 1, 0)).toThrow(RangeError);
  });
});
