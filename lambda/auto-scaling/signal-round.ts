import { type FleetLoad, type FleetMemory, followLoad } from './fleet-load';
import { roomOf } from '../load-balancing/room';
import type { FleetCapacity, FleetReading, Flow, Gauge } from './fleet-reading';
import type { LoadMetric, ScaledFleet } from './scaled-fleet';

/** What a fleet has in progress, in tokens; and what it let in and turned away, where its admission is bounded. */
export interface FleetWork {
  readonly tokens: number;
  readonly flow?: Flow;
}

/** How many tokens a fleet lets in at one time. */
export interface FleetRoom {
  readonly backend: string;
  readonly tokens: number;
}

/** Where a round reads, and where it publishes. Whatever fails, fails by throwing. */
export interface SignalPorts {
  /** Work of backends, in their order. */
  readonly work: (backends: readonly string[]) => Promise<readonly FleetWork[]>;
  /** Jobs that wait; left out where there is no queue. */
  readonly waitingJobs?: () => Promise<number>;
  /** Age of the oldest of them in seconds, and GPU and cache gauges of fleets in their order. */
  readonly gauges: (fleets: readonly ScaledFleet[], now: number) => Promise<Gauges>;
  readonly groupSize: (group: string) => Promise<Omit<FleetCapacity, 'at'>>;
  readonly publish: (metrics: readonly LoadMetric[]) => Promise<void>;
  /** Tells the gateway how much fleets let in, for a minute. */
  readonly setRooms: (rooms: readonly FleetRoom[]) => Promise<void>;
  /** Told of each fleet's load and what it was computed from. */
  readonly told: (fleet: ScaledFleet, reading: FleetReading, load: FleetLoad | undefined) => void;
  /** Told of each source that failed. */
  readonly warn: (source: string, error: Error) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What CloudWatch knows; what has no recent datapoint is left out. */
export interface Gauges {
  readonly oldestJob?: Gauge;
  readonly fleets: readonly { readonly gpu?: Gauge; readonly kvCache?: Gauge }[];
}

/**
 * Reads all sources side by side, and publishes the load of each fleet. A source that fails takes nothing from the
 * others: what it said last goes on to count, until the law finds it too old. Nothing is published of a fleet of which
 * too little is known.
 */
export class SignalRound {
  private readonly last: FleetReading[];
  private readonly memory: FleetMemory[];

  constructor(
    private readonly fleets: readonly ScaledFleet[],
    private readonly ports: SignalPorts,
  ) {
    this.last = fleets.map(() => ({ now: 0 }));
    this.memory = fleets.map(() => ({}));
  }

  /** @throws where the loads could not be published */
  public async run(): Promise<void> {
    const { ports, fleets } = this;
    const [work, jobs, gauges, sizes] = await Promise.all([
      this.attempt('store', () => ports.work(fleets.map(({ backend }) => backend))),
      ports.waitingJobs && this.attempt('queue', ports.waitingJobs),
      this.attempt('metrics', () => ports.gauges(fleets, ports.now())),
      Promise.all(fleets.map(({ group }) => this.attempt(`group ${group}`, () => ports.groupSize(group)))),
    ]);
    const now = ports.now();
    const metrics = fleets.flatMap((fleet, i): LoadMetric[] => {
      const size = sizes[i];
      const reading: FleetReading = {
        ...this.last[i],
        ...(work && { tokens: { value: work[i]?.tokens ?? NaN, at: now } }),
        ...(work?.[i]?.flow && { flow: { ...work[i].flow, at: now } }),
        ...(jobs !== undefined && { jobs: { value: jobs, at: now } }),
        ...(gauges?.oldestJob && { oldestJob: gauges.oldestJob }),
        ...gauges?.fleets[i],
        ...(size && { capacity: { ...size, at: now } }),
        now,
      };
      this.last[i] = reading;
      const { load, memory } = followLoad(reading, fleet.rating, this.memory[i]);
      this.memory[i] = memory;
      ports.told(fleet, reading, load);
      return load ? metricsOf(fleet, load, now) : [];
    });
    const rooms = fleets.flatMap(({ backend, rating }, i): FleetRoom[] => {
      const size = sizes[i];
      // Without any instance, requests show that one is wanted.
      if (rating.overload !== 'turnsAway' || !size?.inService) return [];
      return [{ backend, tokens: roomOf(size.inService, rating.tokensPerInstance) }];
    });
    await Promise.all([ports.publish(metrics), this.attempt('store', () => ports.setRooms(rooms))]);
  }

  private async attempt<T>(source: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      this.ports.warn(source, error as Error);
      return undefined;
    }
  }
}

function metricsOf({ group }: ScaledFleet, { load, loadWithoutOne, instances }: FleetLoad, at: number): LoadMetric[] {
  const shared = { dimensions: { Group: group }, at };
  return [
    { ...shared, name: 'FleetLoad', value: load, unit: 'Percent' },
    { ...shared, name: 'FleetLoadWithoutOne', value: loadWithoutOne, unit: 'Percent' },
    { ...shared, name: 'FleetDemand', value: instances, unit: 'Count' },
  ];
}
