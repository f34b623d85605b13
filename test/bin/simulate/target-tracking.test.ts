import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TargetTracking, type TrackingSettings } from '../../../bin/simulate/target-tracking';

const settings: TrackingSettings = {
  target: 50,
  scaleOutAfter: 3,
  scaleOutEvery: 6,
  scaleInAfter: 10,
  scaleInEvery: 5,
  scaleInBelow: 0.9,
  scaleInOn: 'metric',
};

/** Follows datapoints of a constant amount of work; `boots` datapoints pass before what was asked for is there. */
function sizes(work: (step: number) => number, steps: number, start: number, boots = 0): number[] {
  const tracking = new TargetTracking(settings);
  const wanted: number[] = [start];
  for (let step = 0; step < steps; step++) {
    const capacity = wanted[Math.max(0, step - boots)]!;
    wanted.push(tracking.follow({ value: work(step) / capacity, capacity }, wanted.at(-1)!));
  }
  return wanted;
}

describe('TargetTracking', () => {
  test('goes to the size that the work needs at the third datapoint above the target, in one step', () => {
    expect(sizes(() => 400, 4, 4)).toEqual([4, 4, 4, 8, 8]);
  });

  test('does not answer a shortage twice while the first answer boots', () => {
    expect(Math.max(...sizes(() => 400, 60, 4, 30))).toBe(8);
  });

  test('adds more while it boots where the work grows, not sooner than its alarm acts again', () => {
    const wanted = sizes((step) => (step < 3 ? 400 : 600), 12, 4, 30);
    expect(wanted.indexOf(8)).toBe(3);
    expect(wanted.indexOf(12)).toBe(9);
  });

  test('takes one instance after a long time below, then one at a time, and stops where the work needs all', () => {
    const wanted = sizes(() => 100, 40, 5);
    expect(wanted.slice(0, 10).every((size) => size === 5)).toBe(true);
    expect(wanted.indexOf(4)).toBe(10);
    expect(wanted.indexOf(3)).toBe(15);
    expect(wanted.at(-1)).toBe(2);
  });

  test('starts over with the time below when the metric comes back once', () => {
    const wanted = sizes((step) => (step === 8 ? 250 : 100), 17, 5);
    expect(wanted.every((size) => size === 5)).toBe(true);
  });

  test('does nothing without data', () => {
    const tracking = new TargetTracking(settings);
    for (let step = 0; step < 50; step++) expect(tracking.follow({ value: undefined, capacity: 5 }, 5)).toBe(5);
  });

  test('never takes an instance that the metric of one less says is needed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 40 }), (work, start) => {
        const tracking = new TargetTracking({ ...settings, scaleInOn: 'metricWithoutOne' });
        let size = start;
        for (let step = 0; step < 300; step++) size = tracking.follow({ value: work / size, capacity: size }, size);
        expect(work / size).toBeLessThanOrEqual(settings.target + 1e-9);
        // And it stays where it is: nothing goes that has to come back.
        const settled = size;
        for (let step = 0; step < 100; step++) size = tracking.follow({ value: work / size, capacity: size }, size);
        expect(size).toBe(settled);
      }),
    );
  });
});
