import { describe, expect, test } from '@jest/globals';
import { BatchingEngine } from '../../../bin/simulate/batching-engine';
import type { InstanceProfile } from '../../../bin/simulate/instance-profile';
import { Requests } from '../../../bin/simulate/requests';
import { traceOf } from './fixture';

/** A step takes 100 ms, and 10 ms for each request that decodes; an input token takes 1 ms. */
const profile: InstanceProfile = {
  name: 'test',
  stepMs: 100,
  stepMsPerRequest: 10,
  prefillTokensPerSecond: 1000,
  stepTokens: 100,
  longInputTokens: 100,
  maxRequests: 4,
  kvTokens: 1000,
  gpus: 1,
};

/** Runs an engine by itself. */
function run(arrivals: readonly (readonly [number, number, number])[], changes: Partial<InstanceProfile> = {}) {
  const requests = new Requests(traceOf(...arrivals), 256);
  const ends: (readonly [number, number])[] = [];
  let wake: { time: number; version: number } | undefined;
  const engine = new BatchingEngine({ ...profile, ...changes }, requests, {
    wakeAt: (time, version) => (wake = { time, version }),
    onServed: (request, now) => ends.push([request, now]),
  });
  let most = 0;
  const advance = (until: number) => {
    while (wake && wake.time <= until) {
      const { time, version } = wake;
      wake = undefined;
      engine.wake(time, version);
      most = Math.max(most, engine.kvUsage(time));
    }
  };
  arrivals.forEach(([at], request) => {
    advance(at);
    engine.add(request, at);
  });
  advance(Infinity);
  return { engine, requests, ends, most };
}

describe('BatchingEngine', () => {
  test('serves a lone request in one step for its input and one for each later token', () => {
    const { requests, ends, engine } = run([[0, 50, 3]]);
    expect(requests.firstTokenAt[0]).toBeCloseTo(0.15);
    expect(ends[0]![1]).toBeCloseTo(0.15 + 2 * 0.11);
    expect(engine.busySeconds(10)).toBeCloseTo(0.37);
    expect(engine.kvUsage(10)).toBe(0);
  });

  test('ends a request of one token with its first', () => {
    const { requests, ends } = run([[0, 50, 1]]);
    expect(ends[0]![1]).toBe(requests.firstTokenAt[0]);
  });

  test('computes a long input in steps of at most `stepTokens`', () => {
    const { requests } = run([[0, 250, 2]]);
    expect(requests.firstTokenAt[0]).toBeCloseTo(0.2 + 0.2 + 0.15);
  });

  test('lets an arrival join at the end of the present step, and slows the others by its input', () => {
    const { requests, ends } = run([
      [0, 50, 11],
      [0.2, 50, 1],
    ]);
    // The steps of the first end at 0.15, 0.26, ...; the second's input is in the one from 0.26.
    expect(requests.firstTokenAt[1]).toBeCloseTo(0.26 + 0.1 + 0.01 + 0.05);
    expect(ends.find(([request]) => request === 0)![1]).toBeCloseTo(0.15 + 10 * 0.11 + 0.05);
  });

  test('computes inputs in the order of their arrival, several in one step where they fit', () => {
    const { requests } = run([
      [0, 100, 5],
      [0.01, 40, 5],
      [0.02, 40, 5],
      [0.03, 40, 5],
    ]);
    expect(requests.firstTokenAt[1]).toBe(requests.firstTokenAt[2]);
    expect(requests.firstTokenAt[3]).toBeGreaterThan(requests.firstTokenAt[2]!);
  });

  test('leaves room beside a long input for the short ones behind it, of each at most `longInputTokens`', () => {
    const arrivals = [
      [0, 300, 2],
      [0.01, 20, 2],
      [0.02, 20, 2],
    ] as const;
    const [alone, shared] = [run(arrivals), run(arrivals, { longInputTokens: 60 })];
    // Behind 100 tokens of the long one in each step there is no room; behind 60 of them there is for both.
    expect(alone.requests.firstTokenAt[1]).toBeGreaterThan(alone.requests.firstTokenAt[0]! - 0.001);
    expect(shared.requests.firstTokenAt[1]).toBeCloseTo(0.16 + 0.2);
    expect(shared.requests.firstTokenAt[2]).toBe(shared.requests.firstTokenAt[1]);
    expect(shared.requests.firstTokenAt[0]).toBeGreaterThan(shared.requests.firstTokenAt[1]!);
    expect(shared.engine.kvUsage(10)).toBe(0);
  });

  test('runs at most `maxRequests` at one time; the next waits for a place', () => {
    const { requests, ends } = run(Array.from({ length: 5 }, (_, index) => [0.001 * index, 10, 20] as const));
    const firstEnd = Math.min(...ends.map(([, at]) => at));
    expect(requests.firstTokenAt[4]).toBeGreaterThan(firstEnd);
  });

  test('stays within its cache: the youngest gives its room back, is computed again, and still gets all its tokens', () => {
    const arrivals = [
      [0, 90, 300],
      [0.01, 90, 300],
      [0.02, 90, 300],
    ] as const;
    const { engine, requests, ends, most } = run(arrivals, { kvTokens: 500 });
    expect(engine.preemptions).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(1);
    expect(ends.map(([request]) => request)).toEqual([0, 1, 2]);
    expect(requests.firstTokenAt[2]).toBeLessThan(1);
    expect(engine.kvUsage(1e6)).toBe(0);
    const roomy = run(arrivals, { kvTokens: 2000 });
    expect(roomy.engine.preemptions).toBe(0);
    expect(ends[2]![1]).toBeGreaterThan(roomy.ends[2]![1]);
  });

  test('gives a waiting request up, and not one whose first token is on its way', () => {
    const requests = new Requests(traceOf([0, 50, 5], [0, 50, 5]), 256);
    const engine = new BatchingEngine({ ...profile, maxRequests: 1 }, requests, {
      wakeAt: () => undefined,
      onServed: () => undefined,
    });
    engine.add(0, 0);
    engine.add(1, 0);
    expect(engine.cancel(1)).toBe(true);
    expect(engine.cancel(0)).toBe(false);
    expect(engine.requestCount).toBe(1);
  });
});
