import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BALANCERS } from '../../../bin/simulate/balancers';
import { DEFAULT_OBJECTIVE, measure } from '../../../bin/simulate/measures';
import { Outcome } from '../../../bin/simulate/requests';
import { SIGNALS } from '../../../bin/simulate/scaling-signals';
import { simulate } from '../../../bin/simulate/simulation';
import { fleet, load, profile, scenario, traceOf } from './fixture';

describe('a simulation', () => {
  test('gives the same result for the same seed, and another for another', () => {
    const trace = load([4, 12, 8], 300);
    const plan = fleet({ signal: 'fleet-load', balancing: 'power-of-two-choices' });
    const [one, same, other] = [1, 1, 2].map((seed) => simulate(scenario(trace, plan, { seed })));
    expect(same!.requests.endedAt).toEqual(one!.requests.endedAt);
    expect(same!.samples).toEqual(one!.samples);
    expect(same!.events).toBe(one!.events);
    expect(other!.requests.endedAt).not.toEqual(one!.requests.endedAt);
  });

  test('ends every request once, after it began, whatever the balancer, the signal, the load and the loss of a zone', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...BALANCERS),
        fc.constantFrom(...SIGNALS),
        fc.integer({ min: 1, max: 25 }),
        fc.constantFrom(0.5, 10, Infinity),
        fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined }),
        fc.integer({ min: 1, max: 1000 }),
        (balancing, signal, rate, firstTokenSeconds, lossAt, seed) => {
          const trace = load([rate, 1], 120, seed);
          const plan = fleet({ balancing, signal, maxConcurrency: 8, bootSeconds: 30, scaleInSeconds: 60 });
          const base = scenario(trace, plan);
          const backends = base.backends.map((backend) => ({ ...backend, firstTokenSeconds }));
          const zoneLoss = lossAt === undefined ? {} : { zoneLoss: { zone: 1, atSeconds: lossAt, silentSeconds: 30 } };
          const { requests, servedBy } = simulate({ ...base, backends, seed, ...zoneLoss });
          // A second end would have thrown; the counts must add up, and time must not run backwards.
          expect(requests.ended).toBe(trace.arrivals.length);
          expect(requests.outcome).not.toContain(Outcome.OPEN);
          const served = requests.outcome.filter((outcome) => outcome === Outcome.SERVED).length;
          expect(servedBy[0]!.requests).toBe(served);
          requests.outcome.forEach((outcome, request) => {
            expect(requests.endedAt[request]).toBeGreaterThanOrEqual(trace.arrivals[request]!);
            if (outcome !== Outcome.SERVED && outcome !== Outcome.BROKEN) return;
            expect(requests.firstTokenAt[request]).toBeGreaterThan(trace.arrivals[request]!);
            expect(requests.endedAt[request]).toBeGreaterThanOrEqual(requests.firstTokenAt[request]!);
          });
        },
      ),
      { numRuns: 30 },
    );
  });

  test("has as many requests in progress as Little's law says: their rate times the time that each takes", () => {
    const trace = load([6], 7200);
    const { requests, samples } = simulate(scenario(trace, fleet({ minCapacity: 5 }), { sampleSeconds: 1 }));
    const time = requests.endedAt.reduce((sum, at, request) => sum + at - trace.arrivals[request]!, 0);
    const inProgress = samples.reduce((sum, sample) => sum + sample.requestsInProgress, 0) / samples.length;
    expect(inProgress / (time / trace.duration)).toBeCloseTo(1, 1);
  });

  test('serves an idle fleet’s request in the time that the profile says', () => {
    const { requests } = simulate(scenario(traceOf([0, 1000, 101])));
    const steps = Math.ceil(1000 / profile.longInputTokens);
    const firstToken = (steps * profile.stepMs) / 1000 + 1000 / profile.prefillTokensPerSecond;
    expect(requests.firstTokenAt[0]).toBeCloseTo(firstToken, 6);
    const decoding = (100 * (profile.stepMs + profile.stepMsPerRequest)) / 1000;
    expect(requests.endedAt[0]).toBeCloseTo(firstToken + decoding, 6);
  });

  test('pays for instances from their launch on, and has them after their boot', () => {
    const trace = load([2, 20], 600);
    const { samples, instanceHours, launches } = simulate(
      scenario(trace, fleet({ signal: 'fleet-load', bootSeconds: 200 })),
    );
    expect(launches).toBeGreaterThan(0);
    const grown = samples.find(({ paid }) => paid > 3)!;
    const there = samples.find(({ inService }) => inService > 3)!;
    expect(there.at - grown.at).toBeGreaterThanOrEqual(190);
    const paid = samples.reduce((sum, sample) => sum + sample.paid, 0) / samples.length;
    expect(instanceHours / ((paid * trace.duration) / 3600)).toBeCloseTo(1, 1);
  });

  test('costs a static fleet its size times the length of the trace', () => {
    const trace = load([2], 3600);
    const { instanceHours, gpuHours } = simulate(scenario(trace, fleet({ minCapacity: 4 })));
    expect(instanceHours).toBeCloseTo(4);
    expect(gpuHours).toBeCloseTo(4 * profile.gpus);
  });

  test('takes instances out one at a time, drained, until the least are left', () => {
    const trace = load([30, 0.2, 0.2], 1200);
    const plan = fleet({ signal: 'fleet-load', initialCapacity: 20, scaleInSeconds: 60, scaleInIntervalSeconds: 60 });
    const { samples, requests } = simulate(scenario(trace, plan));
    const sizes = samples.map(({ desired }) => desired);
    expect(sizes.at(-1)).toBe(3);
    expect(sizes.every((size, index) => index === 0 || size >= sizes[index - 1]! - 1)).toBe(true);
    expect(measure(requests, DEFAULT_OBJECTIVE).broken).toBe(0);
  });

  test('sends what has no first token in time to the next backend of the chain', () => {
    const base = scenario(load([20], 120), fleet({ minCapacity: 1 }));
    const cloud = { name: 'cloud', serves: { firstTokenSeconds: 0.5, secondsPerToken: 0.02 } };
    const alone = simulate(base);
    const helped = simulate({ ...base, backends: [...base.backends, { ...base.backends[0]!, ...cloud }] });
    expect(measure(alone.requests, DEFAULT_OBJECTIVE).timedOut).toBeGreaterThan(100);
    expect(helped.servedBy[1]!.requests).toBeGreaterThan(100);
    expect(measure(helped.requests, DEFAULT_OBJECTIVE).served).toBe(helped.requests.count);
  });

  test('refuses what a backend has no room for, by the law of the store', () => {
    const base = scenario(load([20], 60));
    const { requests } = simulate({ ...base, backends: [{ ...base.backends[0]!, capacityTokens: 5000 }] });
    expect(measure(requests, DEFAULT_OBJECTIVE).refused).toBeGreaterThan(100);
  });

  test('turns away what a rated fleet has no room for, and grows by it; or lets its servers queue', () => {
    const trace = load([4, 16], 900);
    const run = (boundedAdmission: boolean) => {
      const plan = fleet({ signal: 'fleet-load', bootSeconds: 300, boundedAdmission });
      const result = simulate(scenario(trace, plan, {}));
      return { ...result, ...measure(result.requests, DEFAULT_OBJECTIVE) };
    };
    const [bounded, queueing] = [run(true), run(false)];
    expect(queueing.refused).toBe(0);
    expect(bounded.refused).toBeGreaterThan(100);
    expect(bounded.inTime).toBeGreaterThan(queueing.inTime);
    expect(bounded.timedOut).toBeLessThan(queueing.timedOut);
    // What it turned away tells how many it needs: as many as the other, which sees all of it waiting.
    const most = (samples: typeof bounded.samples) => Math.max(...samples.map(({ desired }) => desired));
    expect(most(bounded.samples)).toBeGreaterThanOrEqual(0.6 * most(queueing.samples));
  });

  test('shares requests between weighted backends by their weights', () => {
    const base = scenario(load([12], 1200));
    const service = { firstTokenSeconds: 1, secondsPerToken: 0.02 };
    const backend = (name: string, share: number) => ({ ...base.backends[0]!, name, share, serves: service });
    const { servedBy } = simulate({ ...base, backends: [backend('one', 3), backend('other', 1)] });
    expect(servedBy[0]!.requests / servedBy[1]!.requests).toBeCloseTo(3, 0);
  });

  test('refuses a request that no instance’s cache can hold', () => {
    const { requests } = simulate(scenario(traceOf([0, profile.kvTokens, 10], [1, 10, 10])));
    expect([...requests.outcome]).toEqual([Outcome.REFUSED, Outcome.SERVED]);
  });
});

describe('the loss of a zone', () => {
  const trace = load([6], 1800);
  const zoneLoss = { zone: 0, atSeconds: 600, silentSeconds: 30 };

  test('takes a third of the fleet at once, and the same number is there again after one boot', () => {
    const { samples } = simulate(scenario(trace, fleet({ minCapacity: 9 }), { zoneLoss }));
    const at = (seconds: number) => samples.find((sample) => sample.at >= seconds)!.inService;
    expect(at(590)).toBe(9);
    expect(at(610)).toBe(6);
    expect(at(740)).toBe(6);
    expect(at(760)).toBe(9);
  });

  test('cuts off what had begun there, and answers the rest elsewhere', () => {
    const { requests } = simulate(scenario(trace, fleet({ minCapacity: 9 }), { zoneLoss }));
    const { broken, served, timedOut, refused } = measure(requests, DEFAULT_OBJECTIVE);
    expect(broken).toBeGreaterThan(0);
    expect(broken).toBeLessThan(100);
    expect(served + broken + timedOut + refused).toBe(requests.count);
    expect((timedOut + refused) / requests.count).toBeLessThan(0.01);
    const later = measure(requests, DEFAULT_OBJECTIVE, { from: 700, to: 1800 });
    expect(later.served).toBe(later.requests);
  });
});
