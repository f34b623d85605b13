import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type FleetRating,
  type FleetReading,
  type Gauge,
  MOST_INSTANCES,
  MOST_LOAD,
  OLDEST,
  fleetLoad,
} from '../../../lambda/auto-scaling/fleet-load';

const NOW = 1_760_000_000_000;
const RATING: FleetRating = {
  tokensPerInstance: 10_000,
  jobsPerSecond: 2,
  drainSeconds: 100,
  kvCacheTarget: 80,
  gpuTarget: 70,
};

const now = (value: number): Gauge => ({ value, at: NOW });
const ago = (ms: number, value: number): Gauge => ({ value, at: NOW - ms });
const instances = (inService: number, pending = 0) => ({ inService, pending, at: NOW });

function loadOf(reading: Partial<FleetReading>, rating = RATING) {
  return fleetLoad({ now: NOW, capacity: instances(4), ...reading }, rating);
}

describe('the load of a fleet', () => {
  it('is 100 where its tokens in progress are just what its instances should carry', () => {
    expect(loadOf({ tokens: now(40_000) })).toEqual({
      ...{ load: 100, loadWithoutOne: 400 / 3, instances: 4, decidedBy: 'tokens' },
    });
  });

  it('is the greatest of token work, drain time and cache pressure, and says which one that was', () => {
    const work = { tokens: now(20_000), jobs: now(600), kvCache: now(40) };
    expect(loadOf(work)).toMatchObject({ load: 75, decidedBy: 'jobs' });
    expect(loadOf({ ...work, kvCache: now(76) })).toMatchObject({ load: 95, decidedBy: 'kvCache' });
    expect(loadOf({ ...work, tokens: now(50_000) })).toMatchObject({ load: 125, decidedBy: 'tokens' });
  });

  it('counts pending instances in full: what was asked for is not asked for again while it boots', () => {
    expect(loadOf({ capacity: instances(4), tokens: now(80_000) })).toMatchObject({ load: 200 });
    expect(loadOf({ capacity: instances(4, 4), tokens: now(80_000) })).toMatchObject({ load: 100 });
    // The caches of the four are full; with the eight they will not be.
    expect(loadOf({ capacity: instances(4, 4), tokens: now(1), kvCache: now(100) })).toMatchObject({ load: 62.5 });
  });

  it('counts on less time, the longer the oldest job has waited, down to a quarter', () => {
    const jobs = now(400);
    const waited = (seconds: number) => loadOf({ tokens: now(0), jobs, oldestJob: now(seconds) })?.instances;
    expect([0, 50, 75, 10_000].map(waited)).toEqual([2, 4, 8, 8]);
  });

  it('leaves jobs out where nobody said how fast an instance does them', () => {
    const { jobsPerSecond: _, ...rating } = RATING;
    expect(loadOf({ tokens: now(0), jobs: now(1e6) }, rating)).toMatchObject({ load: 0, decidedBy: 'tokens' });
  });

  it('asks for no instance where nothing is to be done, and lets the last one go', () => {
    const idle = { tokens: now(0), jobs: now(0), kvCache: now(0), gpu: now(0) };
    expect(loadOf({ ...idle, capacity: instances(1) })).toMatchObject({ load: 0, loadWithoutOne: 0, instances: 0 });
    expect(loadOf({ ...idle, capacity: instances(1), tokens: now(1) })).toMatchObject({ loadWithoutOne: MOST_LOAD });
  });
});

describe('the load of a fleet without instances', () => {
  it('is the greatest there is where jobs wait, and none where nothing waits', () => {
    const capacity = instances(0);
    expect(loadOf({ capacity, tokens: now(0), jobs: now(1) })).toMatchObject({ load: MOST_LOAD, decidedBy: 'jobs' });
    expect(loadOf({ capacity, tokens: now(0), jobs: now(0) })).toMatchObject({ load: 0 });
  });

  it('comes down to the work as soon as one is asked for', () => {
    const capacity = instances(0, 1);
    expect(loadOf({ capacity, tokens: now(0), jobs: now(100) })).toMatchObject({ load: 50 });
  });

  it('does not listen to the gauges of those that have gone', () => {
    expect(loadOf({ capacity: instances(0), tokens: now(0), kvCache: now(100), gpu: now(100) })).toMatchObject({
      ...{ load: 0, decidedBy: 'tokens' },
    });
  });
});

describe('GPU utilisation', () => {
  it('does not raise a load whose tokens are known: a GPU is busy with a single request', () => {
    expect(loadOf({ tokens: now(4000), gpu: now(100) })).toMatchObject({ load: 10, decidedBy: 'tokens' });
  });

  it('keeps busy fleets from shrinking while their tokens are unknown, and asks for nothing', () => {
    const lost = { kvCache: now(8), gpu: now(70) };
    expect(loadOf(lost)).toEqual({
      ...{ load: 100, loadWithoutOne: 400 / 3, instances: 4, decidedBy: 'gpu', guard: 'gpuBusy' },
    });
    expect(loadOf({ ...lost, gpu: now(69) })).toMatchObject({ load: 10, decidedBy: 'kvCache' });
    expect(loadOf({ ...lost, kvCache: now(100) })).toMatchObject({ load: 125, decidedBy: 'kvCache' });
  });

  it('stands in for the work where neither tokens nor caches are known', () => {
    expect(loadOf({ gpu: now(84) })).toMatchObject({ load: 120, decidedBy: 'gpu' });
    expect(loadOf({ gpu: now(84), jobs: now(1200) })).toMatchObject({ load: 150, decidedBy: 'jobs' });
  });

  it('refutes caches that are said to be full while GPUs do nothing', () => {
    const reading = { tokens: now(1), kvCache: ago(20_000, 100), gpu: ago(20_000, 2) };
    expect(loadOf(reading)).toMatchObject({ load: 100, decidedBy: 'kvCache', guard: 'gpuIdle' });
    expect(loadOf({ ...reading, gpu: ago(20_000, 5) })).toMatchObject({ load: 125 });
  });

  it('refutes tokens that were read before it was measured, and no younger ones: a burst is not held up', () => {
    const gpu = ago(5000, 0);
    expect(loadOf({ tokens: ago(20_000, 80_000), gpu })).toMatchObject({ load: 100, guard: 'gpuIdle' });
    expect(loadOf({ tokens: now(80_000), gpu })).toMatchObject({ load: 200 });
  });

  it('refutes jobs that have waited for minutes beside idle GPUs: more of them would idle too', () => {
    const reading = { tokens: now(0), jobs: now(4000), gpu: ago(5000, 0) };
    expect(loadOf({ ...reading, oldestJob: now(300) })).toMatchObject({ load: 100, guard: 'gpuIdle' });
    expect(loadOf({ ...reading, oldestJob: now(30) })).toMatchObject({ load: expect.closeTo(714.3, 1) });
    expect(loadOf(reading)).toMatchObject({ load: 500, decidedBy: 'jobs' });
  });
});

describe('readings that contradict each other', () => {
  it('hold a fleet whose caches are full while nothing is in progress and nothing waits', () => {
    const full = { tokens: now(0), jobs: now(0), kvCache: now(100), gpu: now(100) };
    expect(loadOf(full)).toMatchObject({ load: 100, guard: 'kvCacheWithoutWork' });
    expect(loadOf({ ...full, tokens: now(1) })).toMatchObject({ load: 125, decidedBy: 'kvCache' });
  });
});

describe('readings that are missing, stale or no numbers', () => {
  const tokens = now(80_000);

  it('say nothing where the size of the fleet is not known', () => {
    const old = { ...instances(4), at: NOW - OLDEST.capacity - 1 };
    expect(loadOf({ capacity: old, tokens })).toBeUndefined();
    expect(fleetLoad({ now: NOW, tokens }, RATING)).toBeUndefined();
    expect(loadOf({ capacity: instances(-1, 3), tokens })).toBeUndefined();
    expect(loadOf({ capacity: instances(NaN), tokens })).toBeUndefined();
  });

  it('say nothing where nothing is known of the work in progress, unless the jobs alone ask for more', () => {
    expect(loadOf({})).toBeUndefined();
    expect(loadOf({ jobs: now(0) })).toBeUndefined();
    expect(loadOf({ jobs: now(800) })).toBeUndefined();
    expect(loadOf({ jobs: now(1000) })).toMatchObject({ load: 125, decidedBy: 'jobs' });
  });

  it.each([
    ['tokens', OLDEST.tokens, 80_000],
    ['jobs', OLDEST.jobs, 1600],
    ['kvCache', OLDEST.gauge, 160],
  ] as const)('count stale %s as missing', (input, oldest, value) => {
    const others = { tokens: now(400), [input]: ago(oldest, value) };
    expect(loadOf(others)).toMatchObject({ load: 200, decidedBy: input });
    const stale = { kvCache: now(0), tokens: now(400), [input]: ago(oldest + 1, value) };
    expect(loadOf(stale)?.decidedBy).not.toBe(input);
  });

  it.each([NaN, Infinity, -1])('count %d as missing', (value) => {
    expect(loadOf({ tokens: now(value), kvCache: now(40) })).toMatchObject({ load: 50, decidedBy: 'kvCache' });
  });

  it('count a gauge from the far future as missing, and not one of a clock that is a little ahead', () => {
    expect(loadOf({ tokens: ago(-5000, 20_000) })).toMatchObject({ load: 50 });
    expect(loadOf({ tokens: ago(-31_000, 20_000) })).toBeUndefined();
  });
});

describe('the law', () => {
  const gauge = (max: number) =>
    fc.option(
      fc.record({
        value: fc.oneof(fc.double({ min: 0, max, noNaN: true }), fc.constant(0), fc.double()),
        at: fc.integer({ min: NOW - 200_000, max: NOW + 5000 }),
      }),
      { nil: undefined },
    );
  const reading: fc.Arbitrary<FleetReading> = fc
    .record({
      capacity: fc.record({ inService: fc.nat(50), pending: fc.nat(50), at: fc.constant(NOW) }),
      tokens: gauge(1e7),
      jobs: gauge(1e6),
      oldestJob: gauge(1e5),
      gpu: gauge(100),
      kvCache: gauge(100),
    })
    .map((known) => ({
      now: NOW,
      ...(Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)) as object),
    }));

  it('never says anything but numbers within its bounds, and never less for a smaller fleet', () => {
    fc.assert(
      fc.property(reading, (any) => {
        const said = fleetLoad(any, RATING);
        if (!said) return;
        expect(said.load).toBeGreaterThanOrEqual(0);
        expect(said.load).toBeLessThanOrEqual(MOST_LOAD);
        expect(said.loadWithoutOne).toBeGreaterThanOrEqual(said.load);
        expect(said.loadWithoutOne).toBeLessThanOrEqual(MOST_LOAD);
        expect(said.instances).toBeGreaterThanOrEqual(0);
        expect(said.instances).toBeLessThanOrEqual(MOST_INSTANCES);
      }),
    );
  });

  it.each(['tokens', 'jobs', 'kvCache'] as const)('never says less for more %s', (input) => {
    fc.assert(
      fc.property(reading, fc.double({ min: 0, max: 1e6, noNaN: true }), (any, more) => {
        const before = any[input];
        fc.pre(before !== undefined && before.value >= 0 && Number.isFinite(before.value + more));
        const least = fleetLoad(any, RATING);
        const most = fleetLoad({ ...any, [input]: { ...before, value: before.value + more } }, RATING);
        fc.pre(least !== undefined);
        expect(most!.load).toBeGreaterThanOrEqual(least.load);
        expect(most!.loadWithoutOne).toBeGreaterThanOrEqual(least.loadWithoutOne);
      }),
    );
  });

  it('settles at once: with as many instances as it asks for, pending or not, it asks for no more and no fewer', () => {
    const work = fc.record({ tokens: fc.integer({ min: 1, max: 400_000 }), jobs: fc.nat(5000) });
    fc.assert(
      fc.property(work, fc.integer({ min: 1, max: 20 }), ({ tokens, jobs }, inService) => {
        const asked = loadOf({ capacity: instances(inService), tokens: now(tokens), jobs: now(jobs) })!;
        const wanted = Math.ceil((inService * asked.load) / 100);
        fc.pre(asked.load < MOST_LOAD && wanted >= inService);
        const then = loadOf({
          capacity: instances(inService, wanted - inService),
          ...{ tokens: now(tokens), jobs: now(jobs) },
        })!;
        expect(then.load).toBeLessThanOrEqual(100 + 1e-9);
        expect(Math.ceil((wanted * then.load) / 100 - 1e-9)).toBe(Math.ceil(asked.instances - 1e-9));
      }),
    );
  });
});
