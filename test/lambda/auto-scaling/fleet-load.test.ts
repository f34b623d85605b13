import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OLDEST } from '../../../lambda/auto-scaling/fleet-demand';
import {
  type FleetLoad,
  type FleetMemory,
  followLoad,
  MOST_INSTANCES,
  MOST_LOAD,
} from '../../../lambda/auto-scaling/fleet-load';
import type { FleetRating, FleetReading, Gauge } from '../../../lambda/auto-scaling/fleet-reading';

const NOW = 1_760_000_000_000;
const RATING: FleetRating = {
  tokensPerInstance: 10_000,
  jobsPerSecond: 2,
  drainSeconds: 100,
  kvCacheTarget: 80,
  gpuTarget: 70,
};

/** A fleet that wanted nothing until now, so that it holds nothing. */
const CALM: FleetMemory = { held: [{ at: NOW - 1, instances: 0 }] };

const now = (value: number): Gauge => ({ value, at: NOW });
const ago = (ms: number, value: number): Gauge => ({ value, at: NOW - ms });
const instances = (inService: number, pending = 0) => ({ inService, pending, at: NOW });

function loadOf(reading: Partial<FleetReading>, rating = RATING, memory = CALM): FleetLoad | undefined {
  return followLoad({ now: NOW, capacity: instances(4), ...reading }, rating, memory).load;
}

/** What target tracking makes of a load. */
const tracked = (size: number, load: FleetLoad) => Math.ceil((size * load.load) / 100);

describe('the load of a fleet', () => {
  it('has what the work asks for, with some to spare, as its 100', () => {
    const load = loadOf({ tokens: now(40_000) })!;
    // Four instances at their rating are not enough for four instances' work.
    expect(load.instances).toBeGreaterThan(4);
    expect(load).toMatchObject({ wanted: Math.ceil(load.instances), decidedBy: 'tokens', bootSeconds: 360 });
    expect(tracked(4, load)).toBe(load.wanted);
    expect(loadOf({ tokens: now(40_000), capacity: instances(4, load.wanted - 4) })!.load).toBeLessThan(100);
  });

  it('is the greatest of token work, drain time and cache pressure, and says which one that was', () => {
    const work = { tokens: now(5000), jobs: now(600), kvCache: now(40) };
    expect(loadOf(work)).toMatchObject({ instances: 3, wanted: 3, decidedBy: 'jobs' });
    expect(loadOf({ ...work, kvCache: now(76) })).toMatchObject({ instances: 3.8, wanted: 4, decidedBy: 'kvCache' });
    expect(loadOf({ ...work, tokens: now(50_000) })).toMatchObject({ decidedBy: 'tokens' });
  });

  it('counts pending instances in full: what was asked for is not asked for again while it boots', () => {
    const jobs = now(1600);
    expect(loadOf({ capacity: instances(4), tokens: now(0), jobs })!.load).toBeGreaterThan(190);
    expect(loadOf({ capacity: instances(4, 4), tokens: now(0), jobs })!.load).toBeLessThan(100);
    // The caches of the four are full; with the eight they will not be.
    expect(loadOf({ capacity: instances(4, 4), tokens: now(1), kvCache: now(100) })).toMatchObject({ wanted: 5 });
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

  it('keeps less where a full fleet refuses, and more where it must do without a zone', () => {
    const work = { tokens: now(100_000), capacity: instances(10) };
    const wanted = (more: Partial<FleetRating>) => loadOf(work, { ...RATING, ...more })!.wanted;
    expect(wanted({ overload: 'refuses' })).toBeLessThan(wanted({}));
    // Of what is left without the fullest zone, no more is asked than of a fleet that keeps nothing for chance.
    const kept = wanted({ zones: 3 });
    expect(kept).toBeGreaterThan(wanted({}));
    expect(kept - Math.ceil(kept / 3)).toBe(wanted({ overload: 'refuses' }));
    expect(wanted({ overload: 'refuses', zones: 3 })).toBe(kept);
    expect(loadOf({ tokens: now(0), jobs: now(1200) }, { ...RATING, zones: 3 })).toMatchObject({ wanted: 9 });
  });
});

describe('the load of a fleet with weights', () => {
  const MIXED = { ...RATING, units: { smallest: 1, largest: 3, step: 1 } };
  const LARGE = { ...RATING, units: { smallest: 12, largest: 12, step: 12 } };
  const wanting = (units: number) => ({ tokens: now(0), jobs: now(200 * units) });
  const withExcess = (inService: number, excess: number) => ({ inService, pending: 0, excess, at: NOW });

  it('lets go of what is asked for, not of what a large instance has beyond it', () => {
    const capacity = withExcess(6, 2);
    expect(loadOf({ ...wanting(4), capacity }, MIXED)!.loadWithoutOne).toBeGreaterThan(100);
    expect(loadOf({ ...wanting(3), capacity }, MIXED)!.loadWithoutOne).toBeLessThan(100);
    // What is there does the work of six, whatever was asked for.
    expect(loadOf({ ...wanting(6), capacity }, MIXED)!.load).toBeLessThan(100);
  });

  it('lets a whole instance go, and none that is needed in part, however much was asked for', () => {
    for (const capacity of [withExcess(24, 0), withExcess(24, 11)]) {
      expect(loadOf({ ...wanting(12), capacity }, LARGE)!.loadWithoutOne).toBeLessThan(100);
      expect(loadOf({ ...wanting(13), capacity }, LARGE)!.loadWithoutOne).toBeGreaterThan(100);
    }
  });

  it('does without a zone that is full of its largest instances', () => {
    expect(loadOf(wanting(12), { ...LARGE, zones: 3 })).toMatchObject({ wanted: 24 });
    expect(loadOf(wanting(12), { ...MIXED, zones: 3 })).toMatchObject({ wanted: 30 });
  });
});

describe('the load of a fleet over time', () => {
  /** Loads of readings that come each ten seconds; the fleet has what it wants at once. */
  function follow(tokens: readonly number[], rating = RATING, first = 4) {
    let memory: FleetMemory | undefined;
    let size = first;
    return tokens.map((value, i) => {
      const at = NOW + i * 10_000;
      const reading = { now: at, capacity: { inService: size, pending: 0, at }, tokens: { value, at } };
      const followed = followLoad(reading, rating, memory);
      ({ memory } = followed);
      const load = followed.load!;
      size = load.load > 100 ? tracked(size, load) : load.loadWithoutOne < 100 ? size - 1 : size;
      return size;
    });
  }
  const steady = (tokens: number, minutes: number) => new Array<number>(minutes * 6).fill(tokens);

  it('lets nothing go for two boots after it was needed, nor while it does not know what was', () => {
    const sizes = follow(steady(10, 30));
    expect(sizes.lastIndexOf(4)).toBe(72);
    expect(sizes.at(-1)).toBe(1);
    const other = follow(steady(10, 30), { ...RATING, holdSeconds: 60 });
    expect(other.lastIndexOf(4)).toBe(6);
  });

  it('grows at once by what was turned away, and not again and again', () => {
    const rating: FleetRating = { ...RATING, overload: 'turnsAway' };
    let memory: FleetMemory | undefined;
    const wanted = Array.from({ length: 60 }, (_, i) => {
      const at = NOW + i * 10_000;
      const flow = { letIn: i * 10_000, turnedAway: i * 4000, at };
      const capacity = { inService: 10, pending: 0, at };
      const { load, memory: next } = followLoad(
        { now: at, capacity, tokens: { value: 10 * rating.tokensPerInstance, at }, flow },
        rating,
        memory,
      );
      memory = next;
      return load!.wanted;
    });
    expect(wanted[0]).toBe(11);
    // Ten full instances and four tenths of what they had; of all that, 4.5 % are kept free.
    expect(wanted.at(-1)).toBe(Math.ceil(14 / 0.955));
    expect(wanted[18]).toBeGreaterThanOrEqual(14);
  });

  it('goes by no sums that are too old', () => {
    const flow = (at: number) => ({ letIn: at - NOW, turnedAway: at - NOW, at });
    const reading = (at: number, read: number) => ({
      ...{ now: at, capacity: { inService: 4, pending: 0, at }, tokens: { value: RATING.tokensPerInstance, at } },
      flow: flow(read),
    });
    const { memory } = followLoad(reading(NOW + 10_000, NOW + 10_000), RATING);
    const { load } = followLoad(reading(NOW + 60_000, NOW + 20_000), RATING, memory);
    const known = followLoad(reading(NOW + 60_000, NOW + 60_000), RATING, memory).load!;
    expect(load!.instances).toBeLessThan(known.instances);
  });

  it('comes to rest, whatever the work', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400_000 }), fc.integer({ min: 1, max: 40 }), (tokens, first) => {
        const sizes = follow(steady(tokens, 120), { ...RATING, holdSeconds: 60 }, first);
        expect(new Set(sizes.slice(-60)).size).toBe(1);
      }),
      { numRuns: 50 },
    );
  });

  it('forgets nothing where its size was not known for a moment', () => {
    const { memory } = followLoad({ now: NOW, capacity: instances(4), tokens: now(50_000) }, RATING);
    expect(followLoad({ now: NOW + 10_000 }, RATING, memory)).toEqual({ memory });
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
    expect(loadOf({ capacity, tokens: now(0), jobs: now(100) })).toMatchObject({ instances: 0.5, wanted: 1 });
  });

  it('does not listen to the gauges of those that have gone', () => {
    expect(loadOf({ capacity: instances(0), tokens: now(0), kvCache: now(100), gpu: now(100) })).toMatchObject({
      ...{ load: 0, decidedBy: 'tokens' },
    });
  });
});

describe('GPU utilisation', () => {
  it('does not raise a load whose tokens are known: a GPU is busy with a single request', () => {
    expect(loadOf({ tokens: now(400), gpu: now(100) })).toMatchObject({ wanted: 1, decidedBy: 'tokens' });
  });

  it('keeps busy fleets from shrinking while their tokens are unknown, and asks for nothing', () => {
    const lost = { kvCache: now(8), gpu: now(70) };
    expect(loadOf(lost)).toMatchObject({ instances: 4, wanted: 4, decidedBy: 'gpu', guard: 'gpuBusy' });
    expect(loadOf({ ...lost, gpu: now(69) })).toMatchObject({ instances: 0.4, wanted: 1, decidedBy: 'kvCache' });
    expect(loadOf({ ...lost, kvCache: now(100) })).toMatchObject({ wanted: 5, decidedBy: 'kvCache' });
  });

  it('stands in for the work where neither tokens nor caches are known', () => {
    expect(loadOf({ gpu: now(84) })).toMatchObject({ instances: 4.8, wanted: 5, decidedBy: 'gpu' });
    expect(loadOf({ gpu: now(84), jobs: now(1200) })).toMatchObject({ wanted: 6, decidedBy: 'jobs' });
  });

  it('refutes caches that are said to be full while GPUs do nothing', () => {
    const reading = { tokens: now(1), kvCache: ago(20_000, 100), gpu: ago(20_000, 2) };
    expect(loadOf(reading)).toMatchObject({ wanted: 4, decidedBy: 'kvCache', guard: 'gpuIdle' });
    expect(loadOf({ ...reading, gpu: ago(20_000, 5) })).toMatchObject({ wanted: 5 });
  });

  it('refutes tokens that were read before it was measured, and no younger ones: a burst is not held up', () => {
    const gpu = ago(5000, 0);
    expect(loadOf({ tokens: ago(20_000, 80_000), gpu })).toMatchObject({ wanted: 4, guard: 'gpuIdle' });
    expect(loadOf({ tokens: now(80_000), gpu })!.wanted).toBeGreaterThan(5);
  });

  it('refutes tokens that are read anew each round, and that no GPU has worked on since they came', () => {
    let memory: FleetMemory = {};
    const wanted = [0, 10, 20, 30, 40, 50].map((seconds) => {
      const at = NOW + seconds * 1000;
      const reading = { tokens: { value: 80_000, at }, gpu: { value: 0, at: at - 5000 } };
      const round = followLoad({ now: at, capacity: { inService: 4, pending: 0, at }, ...reading }, RATING, memory);
      ({ memory } = round);
      return [round.load!.instances > 4, round.load!.guard];
    });
    // What was measured within the first ten seconds may be of the time before.
    expect(wanted).toEqual(
      [true, true, false, false, false, false].map((grows) => [grows, grows ? undefined : 'gpuIdle']),
    );
  });

  it('refutes jobs that have waited for minutes beside idle GPUs: more of them would idle too', () => {
    const reading = { tokens: now(0), jobs: now(4000), gpu: ago(5000, 0) };
    expect(loadOf({ ...reading, oldestJob: now(300) })).toMatchObject({ wanted: 4, guard: 'gpuIdle' });
    expect(loadOf({ ...reading, oldestJob: now(30) })).toMatchObject({ wanted: 29 });
    expect(loadOf(reading)).toMatchObject({ wanted: 20, decidedBy: 'jobs' });
  });
});

describe('readings that contradict each other', () => {
  it('hold a fleet whose caches are full while nothing is in progress and nothing waits', () => {
    const full = { tokens: now(0), jobs: now(0), kvCache: now(100), gpu: now(100) };
    expect(loadOf(full)).toMatchObject({ wanted: 4, guard: 'kvCacheWithoutWork' });
    expect(loadOf({ ...full, tokens: now(1) })).toMatchObject({ wanted: 5, decidedBy: 'kvCache' });
  });
});

describe('readings that are missing, stale or no numbers', () => {
  const tokens = now(80_000);

  it('say nothing where the size of the fleet is not known', () => {
    const old = { ...instances(4), at: NOW - OLDEST.capacity - 1 };
    expect(loadOf({ capacity: old, tokens })).toBeUndefined();
    expect(followLoad({ now: NOW, tokens }, RATING)).toEqual({ memory: {} });
    expect(loadOf({ capacity: instances(-1, 3), tokens })).toBeUndefined();
    expect(loadOf({ capacity: instances(NaN), tokens })).toBeUndefined();
  });

  it('say nothing where nothing is known of the work in progress, unless the jobs alone ask for more', () => {
    expect(loadOf({})).toBeUndefined();
    expect(loadOf({ jobs: now(0) })).toBeUndefined();
    expect(loadOf({ jobs: now(800) })).toBeUndefined();
    expect(loadOf({ jobs: now(1000) })).toMatchObject({ wanted: 5, decidedBy: 'jobs' });
  });

  it.each([
    ['tokens', OLDEST.tokens, 80_000],
    ['jobs', OLDEST.jobs, 1600],
    ['kvCache', OLDEST.gauge, 160],
  ] as const)('count stale %s as missing', (input, oldest, value) => {
    const others = { tokens: now(400), [input]: ago(oldest, value) };
    expect(loadOf(others)).toMatchObject({ decidedBy: input });
    expect(loadOf(others)!.wanted).toBeGreaterThan(4);
    const stale = { kvCache: now(0), tokens: now(400), [input]: ago(oldest + 1, value) };
    expect(loadOf(stale)?.decidedBy).not.toBe(input);
  });

  it.each([NaN, Infinity, -1])('count %d as missing', (value) => {
    expect(loadOf({ tokens: now(value), kvCache: now(40) })).toMatchObject({ wanted: 2, decidedBy: 'kvCache' });
  });

  it('count a gauge from the far future as missing, and not one of a clock that is a little ahead', () => {
    expect(loadOf({ tokens: ago(-5000, 20_000) })).toMatchObject({ decidedBy: 'tokens' });
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
        const said = followLoad(any, RATING).load;
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
        const least = loadOf(any);
        const most = loadOf({ ...any, [input]: { ...before, value: before.value + more } });
        fc.pre(least !== undefined);
        expect(most!.load).toBeGreaterThanOrEqual(least.load);
        expect(most!.loadWithoutOne).toBeGreaterThanOrEqual(least.loadWithoutOne);
      }),
    );
  });

  it('is carried out by target tracking to the instance, at every size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 600 }), (size, jobs) => {
        const load = loadOf({ capacity: instances(size), tokens: now(0), jobs: now(jobs * 10) })!;
        fc.pre(load.load < MOST_LOAD);
        expect(tracked(size, load)).toBe(load.wanted);
        expect(load.load > 100).toBe(load.wanted > size);
        expect(load.loadWithoutOne < 100).toBe(load.wanted < size);
      }),
    );
  });
});
