import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { Deadlines } from '../../../lambda/store/deadlines';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

it('tells of each that is not over in time, at its own time and once, with one timer for all', () => {
  const missed: [string, number][] = [];
  const started = performance.now();
  const deadlines = new Deadlines<string>(50, (item) => missed.push([item, Math.round(performance.now() - started)]));
  deadlines.begin('first');
  jest.advanceTimersByTime(20);
  deadlines.begin('in time');
  deadlines.begin('second');
  expect(jest.getTimerCount()).toBe(1);
  jest.advanceTimersByTime(10);
  deadlines.end('in time');
  jest.advanceTimersByTime(200);
  expect(missed).toEqual([
    ['first', 50],
    ['second', 70],
  ]);
  expect(jest.getTimerCount()).toBe(0);
  deadlines.begin('later');
  jest.advanceTimersByTime(49);
  expect(missed).toHaveLength(2);
  jest.advanceTimersByTime(1);
  expect(missed.at(-1)).toEqual(['later', 280]);
});

it('tells of nothing any more once it is cleared', () => {
  const deadlines = new Deadlines<string>(50, () => {
    throw new Error('missed');
  });
  deadlines.begin('one');
  deadlines.clear();
  expect(jest.getTimerCount()).toBe(0);
  jest.advanceTimersByTime(100);
});
