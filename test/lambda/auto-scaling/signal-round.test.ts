import { describe, expect, it } from '@jest/globals';
import type { FleetLoad } from '../../../lambda/auto-scaling/fleet-load';
import type { FleetReading } from '../../../lambda/auto-scaling/fleet-reading';
import type { LoadMetric, MetricSource, ScaledFleet } from '../../../lambda/auto-scaling/scaled-fleet';
import { type FleetRoom, type SignalPorts, SignalRound } from '../../../lambda/auto-scaling/signal-round';

const START = 1_760_000_000_000;
const GPU: MetricSource = { namespace: 'n', metric: 'gpu', dimensions: {}, statistic: 'Average', periodSeconds: 10 };
const FLEETS: ScaledFleet[] = ['chat', 'embedding'].map((backend) => ({
  ...{ backend, group: `${backend}-group`, gpu: GPU },
  rating: { tokensPerInstance: 100, jobsPerSecond: 1, drainSeconds: 100, kvCacheTarget: 80, gpuTarget: 70 },
}));

/** A signal whose sources say what the test sets, and fail where it sets an error. */
function signal(fleets = FLEETS) {
  const said: Partial<Record<keyof SignalPorts, unknown>> = {
    work: [{ tokens: 50 }, { tokens: 400 }],
    waitingJobs: 0,
    gauges: { fleets: [{}, {}] },
    groupSize: { inService: 2, pending: 0 },
  };
  const clock = { now: START };
  const published: LoadMetric[][] = [];
  const rooms: (readonly FleetRoom[])[] = [];
  const warnings: string[] = [];
  const told: [string, FleetReading, FleetLoad | undefined][] = [];
  const say = <T>(port: keyof SignalPorts) =>
    said[port] instanceof Error ? Promise.reject(said[port]) : Promise.resolve(said[port] as T);
  const round = new SignalRound(fleets, {
    work: () => say('work'),
    setRooms: async (set) => {
      await say('setRooms');
      rooms.push(set);
    },
    waitingJobs: () => say('waitingJobs'),
    gauges: () => say('gauges'),
    groupSize: () => say('groupSize'),
    publish: async (metrics) => {
      await say('publish');
      published.push([...metrics]);
    },
    told: (fleet, reading, load) => told.push([fleet.backend, reading, load]),
    warn: (source) => warnings.push(source),
    now: () => clock.now,
  });
  const run = async (later = 0) => {
    clock.now += later;
    await round.run();
    return Object.fromEntries(
      published
        .at(-1)!
        .filter(({ name }) => name === 'FleetLoad')
        .map(({ dimensions, value }) => [dimensions.Group, value]),
    );
  };
  return { said, run, published, rooms, warnings, told };
}

describe('a round of the scaling signal', () => {
  it('publishes load, load without one instance, and demand of each fleet, by its group', async () => {
    const { said, run, published, warnings } = signal();
    said.waitingJobs = 250;
    expect(await run()).toEqual({ 'chat-group': 147.5, 'embedding-group': 197.5 });
    const shared = { dimensions: { Group: 'chat-group' }, at: START };
    expect(published[0]!.slice(0, 3)).toEqual([
      { ...shared, name: 'FleetLoad', value: 147.5, unit: 'Percent' },
      { ...shared, name: 'FleetLoadWithoutOne', value: 295, unit: 'Percent' },
      { ...shared, name: 'FleetDemand', value: 2.5, unit: 'Count' },
    ]);
    expect(warnings).toEqual([]);
  });

  it('goes by what a failed source said last, until that is too old, and warns each time', async () => {
    const { said, run, told, warnings } = signal();
    said.waitingJobs = 300;
    expect(await run()).toMatchObject({ 'chat-group': 147.5 });
    said.waitingJobs = new Error('SQS is away');
    for (let i = 0; i < 6; i++) await run(10_000);
    expect(told.at(-2)![2]).toMatchObject({ instances: 3, decidedBy: 'jobs' });
    await run(10_000);
    expect(told.at(-2)![2]).toMatchObject({ decidedBy: 'tokens' });
    expect(warnings).toEqual(Array<string>(7).fill('queue'));
  });

  it('goes by the other sources where the store is lost', async () => {
    const { said, run, told, warnings } = signal();
    said.work = new Error('no answer within 2000 ms');
    const gauge = (value: number) => ({ value, at: START });
    said.gauges = { fleets: [{ gpu: gauge(50), kvCache: gauge(60) }, { gpu: gauge(84) }] };
    await run();
    expect(told.map(([, , load]) => load?.instances)).toEqual([1.5, expect.closeTo(2.4)]);
    expect(warnings).toEqual(['store']);
  });

  it('says nothing of fleets of which too little is known, and tells of it', async () => {
    const { said, run, told, warnings } = signal();
    said.groupSize = new Error('throttled');
    expect(await run()).toEqual({});
    expect(told.map(([backend, , load]) => [backend, load])).toEqual([
      ['chat', undefined],
      ['embedding', undefined],
    ]);
    expect(warnings).toEqual(['group chat-group', 'group embedding-group']);
  });

  it('remembers what each fleet wanted, from round to round', async () => {
    const { said, run, told } = signal();
    said.waitingJobs = 300;
    await run();
    said.waitingJobs = 0;
    await run(10_000);
    expect(told.at(-2)![2]).toMatchObject({ wanted: 3, decidedBy: 'tokens' });
    await run(720_000);
    expect(told.at(-2)![2]!.wanted).toBeLessThan(3);
  });

  describe('with fleets whose admission is bounded', () => {
    const [chat, embedding] = FLEETS;
    const bounded = [{ ...chat!, rating: { ...chat!.rating, overload: 'turnsAway' as const } }, embedding!];

    it('tells the gateway what their instances in service carry, and what it turned away tells on them', async () => {
      const { said, run, rooms, told } = signal(bounded);
      said.groupSize = { inService: 3, pending: 2 };
      said.work = [{ tokens: 300, flow: { letIn: 0, turnedAway: 0 } }, { tokens: 0 }];
      await run();
      expect(rooms).toEqual([[{ backend: 'chat', tokens: 276 }]]);
      said.work = [{ tokens: 300, flow: { letIn: 1000, turnedAway: 500 } }, { tokens: 0 }];
      await run(10_000);
      expect(told.at(-2)![2]!.instances).toBeCloseTo((3 * 1.5) / 0.955);
    });

    it('lets in what the units of a fleet with weights carry, and multiplies its caches by them', async () => {
      const { said, run, rooms, told } = signal(bounded);
      // Ten instances, of which seven count three.
      said.groupSize = { inService: 24, pending: 0, excess: 0 };
      said.gauges = { fleets: [{ kvCache: { value: 40, at: START } }, {}] };
      await run();
      expect(rooms).toEqual([[{ backend: 'chat', tokens: 2208 }]]);
      expect(told[0]![1].capacity).toMatchObject({ inService: 24, pending: 0 });
      expect(told[0]![2]).toMatchObject({ instances: 12, decidedBy: 'kvCache', bootSeconds: 360 });
    });

    it('says nothing of a fleet without instances, nor of one that is not known, and goes on without the store', async () => {
      const { said, run, rooms, published, warnings } = signal(bounded);
      said.groupSize = { inService: 0, pending: 1 };
      await run();
      said.groupSize = new Error('throttled');
      await run(10_000);
      expect(rooms).toEqual([[], []]);
      said.groupSize = { inService: 1, pending: 0 };
      said.setRooms = new Error('no answer within 2000 ms');
      await run(10_000);
      expect(published.at(-1)!.length).toBe(6);
      expect(warnings.at(-1)).toBe('store');
    });
  });

  it('fails where it cannot publish', async () => {
    const { said, run } = signal();
    said.publish = new Error('AccessDenied');
    await expect(run()).rejects.toThrow('AccessDenied');
  });
});
