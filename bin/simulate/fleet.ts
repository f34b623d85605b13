import { roomOf } from '../../lambda/load-balancing/room';
import { type Agenda, Happening } from './agenda';
import { type Balancer, balancer, type BalancerSettings } from './balancers';
import { Instance } from './instance';
import type { InstanceProfile } from './instance-profile';
import type { Random } from './random';
import type { Requests } from './requests';
import type { FleetSample, ScalingSignal } from './scaling-signals';
import { TargetTracking, type TrackingSettings } from './target-tracking';

/** How a fleet's size follows its load. */
export interface FleetTracking {
  /** Makes the signal of one run, which may remember what it saw. */
  readonly signal: () => ScalingSignal;
  readonly periodSeconds: number;
  readonly tracking: TrackingSettings;
}

/** A GPU Auto Scaling group behind its load balancer. */
export interface FleetPlan {
  readonly name: string;
  /** Instances take these profiles in turn. */
  readonly profiles: readonly InstanceProfile[];
  readonly minCapacity: number;
  readonly maxCapacity: number;
  /** Instances that are in service when the run begins. */
  readonly initialCapacity: number;
  /** From the launch to the first answer. */
  readonly bootSeconds: number;
  /** Availability zones that it is spread over. */
  readonly zones: number;
  /** What requests in progress get to finish when an instance is taken out. */
  readonly drainSeconds: number;
  readonly balancing: BalancerSettings;
  /** Undefined for a fleet of constant size. */
  readonly scaling?: FleetTracking;
  /** Tokens that an instance is rated at, where the gateway lets in no more than they carry; undefined for no bound. */
  readonly boundedByTokens?: number;
}

/** What a fleet needs of the run. */
export interface FleetPorts {
  readonly agenda: Agenda;
  readonly requests: Requests;
  readonly random: Random;
  /** Instances of all fleets, by number. */
  readonly instances: Instance[];
  onServed(request: number, instance: Instance, now: number): void;
  /** A request lost its instance. */
  onCutOff(request: number, instance: Instance, now: number): void;
}

/** How long the load balancer waits for a connection, in seconds: an Application Load Balancer's own limit. */
const CONNECT_SECONDS = 10;

/** Launches, drains and loses instances, and hands them requests. */
export class Fleet {
  public desired: number;
  public launches = 0;
  public terminations = 0;
  /** Instances that the run began with. */
  public readonly firstSize: number;
  private readonly own: Instance[] = [];
  private readonly targets: Instance[] = [];
  private readonly choose: Balancer<Instance>;
  private readonly tracking: TargetTracking | undefined;
  private readonly signal: ScalingSignal | undefined;
  private readonly lostZones = new Set<number>();
  /** Tokens that the gateway lets in at one time, as the signal said last; undefined for no bound. */
  public room: number | undefined;
  private letIn = 0;
  private turnedAway = 0;
  private tokensInProgress = 0;
  private requestsInProgress = 0;

  constructor(
    private readonly index: number,
    public readonly plan: FleetPlan,
    private readonly ports: FleetPorts,
  ) {
    this.choose = balancer(plan.balancing, ports.random);
    this.tracking = plan.scaling && new TargetTracking(plan.scaling.tracking);
    this.signal = plan.scaling?.signal();
    this.desired = this.bounded(plan.initialCapacity);
    this.firstSize = this.desired;
    while (this.own.length < this.desired) this.serve(this.launch(0), 0);
    this.setRoom(this.desired);
    if (plan.scaling) ports.agenda.add(plan.scaling.periodSeconds, Happening.DATAPOINT, index);
  }

  public get inService(): number {
    return this.own.filter(({ state }) => state === 'inService').length;
  }

  /** Tokens of the requests that it has. */
  public get tokens(): number {
    return this.tokensInProgress;
  }

  /** Requests that it has. */
  public get inProgress(): number {
    return this.requestsInProgress;
  }

  /** Instances that are paid for. */
  public get paid(): number {
    return this.own.length;
  }

  /** Hands a request to the instance that the balancer chooses; false where there is none that takes it. */
  public take(request: number, now: number): boolean {
    const instance = this.choose(this.targets);
    if (!instance?.engine.fits(this.ports.requests.prompt[request]! + this.ports.requests.left[request]!)) return false;
    this.requestsInProgress += 1;
    this.tokensInProgress += this.ports.requests.reserved[request]!;
    this.letIn += this.ports.requests.reserved[request]!;
    if (instance.state === 'lost') {
      const attempt = this.ports.requests.attempt[request]!;
      this.ports.agenda.add(now + CONNECT_SECONDS, Happening.CONNECT_FAILED, request, attempt);
    }
    instance.take(request, now);
    return true;
  }

  /** A request goes elsewhere, for lack of room. */
  public turnAway(request: number): void {
    this.turnedAway += this.ports.requests.reserved[request]!;
  }

  /** Forgets a request that has ended at an instance of this fleet. */
  public release(request: number, instance: Instance, now: number): void {
    instance.release(request);
    this.requestsInProgress -= 1;
    this.tokensInProgress -= this.ports.requests.reserved[request]!;
    if (instance.state === 'draining' && instance.outstanding === 0) this.end(instance, now);
  }

  /** An instance has booted. */
  public serve(instance: Instance, now: number): void {
    if (instance.state !== 'booting') return;
    instance.state = 'inService';
    instance.busyAtLastReading = instance.engine.busySeconds(now);
    this.targets.push(instance);
  }

  /** Ends an instance whose time to drain is over. */
  public endDraining(instance: Instance, now: number): void {
    if (instance.state !== 'draining') return;
    // The last request that it gives up ends it.
    for (const request of instance.engine.stop(now)) this.ports.onCutOff(request, instance, now);
  }

  /** Reads the fleet's metric and follows it. */
  public followSignal(now: number): void {
    const { scaling } = this.plan;
    if (!scaling || !this.tracking || !this.signal) return;
    const sample = this.sample(now, scaling.periodSeconds);
    this.setRoom(sample.inService);
    const datapoint = this.signal(sample);
    this.resize(this.tracking.follow(datapoint, this.desired), now);
    this.ports.agenda.add(now + scaling.periodSeconds, Happening.DATAPOINT, this.index);
  }

  /** A zone goes silent: what runs there stops; the load balancer goes on sending to it until it notices. */
  public loseZone(zone: number, now: number): void {
    this.lostZones.add(zone);
    for (const instance of this.own.filter((candidate) => candidate.zone === zone)) {
      instance.held = instance.engine.stop(now);
      instance.state = instance.state === 'booting' ? 'booting' : 'lost';
      if (instance.state === 'booting') this.end(instance, now);
    }
  }

  /** Health checks have found out: the zone's instances are given up and replaced in the zones that are left. */
  public noticeLoss(zone: number, now: number): void {
    for (const instance of this.own.filter((candidate) => candidate.zone === zone)) {
      this.end(instance, now);
      for (const request of instance.held) {
        if (this.ports.requests.instance[request] === instance.id) this.ports.onCutOff(request, instance, now);
      }
    }
    this.resize(this.desired, now);
  }

  private setRoom(inService: number): void {
    const { boundedByTokens } = this.plan;
    if (boundedByTokens !== undefined && inService > 0) this.room = roomOf(inService, boundedByTokens);
  }

  private resize(desired: number, now: number): void {
    this.desired = this.bounded(desired);
    const staying = () => this.own.filter(({ state }) => state !== 'draining');
    let size = staying().length;
    for (; size < this.desired; size++) {
      const instance = this.launch(now);
      this.ports.agenda.add(now + this.plan.bootSeconds, Happening.IN_SERVICE, instance.id);
    }
    for (; size > this.desired; size--) this.takeOut(staying(), now);
  }

  private launch(now: number): Instance {
    const { requests, agenda, instances } = this.ports;
    const zone = this.zoneToFill();
    const order = {
      id: instances.length,
      fleet: this.index,
      profile: this.plan.profiles[this.launches % this.plan.profiles.length]!,
      zone,
      launchedAt: now,
    };
    const instance: Instance = new Instance(order, requests, agenda, (request, time) =>
      this.ports.onServed(request, instance, time),
    );
    instances.push(instance);
    this.own.push(instance);
    this.launches += 1;
    return instance;
  }

  /** The zone with the fewest instances, of those that are left. */
  private zoneToFill(): number {
    const zones = Array.from({ length: this.plan.zones }, (_, zone) => zone).filter(
      (zone) => !this.lostZones.has(zone),
    );
    const size = (zone: number) => this.own.filter((instance) => instance.zone === zone).length;
    return zones.reduce((least, zone) => (size(zone) < size(least) ? zone : least));
  }

  /** Takes one instance out of the fullest zone: one that boots before one that serves, the oldest first. */
  private takeOut(candidates: readonly Instance[], now: number): void {
    const size = (zone: number) => candidates.filter((instance) => instance.zone === zone).length;
    const rank = (instance: Instance) => (instance.state === 'booting' ? 0 : 1);
    const [first] = [...candidates].sort(
      (a, b) => rank(a) - rank(b) || size(b.zone) - size(a.zone) || a.launchedAt - b.launchedAt || a.id - b.id,
    );
    if (!first || first.state === 'lost') return;
    if (first.outstanding === 0) return this.end(first, now);
    first.state = 'draining';
    this.removeTarget(first);
    this.ports.agenda.add(now + this.plan.drainSeconds, Happening.DRAIN_LIMIT, first.id);
  }

  private end(instance: Instance, now: number): void {
    instance.state = 'ended';
    instance.endedAt = now;
    this.terminations += 1;
    this.removeTarget(instance);
    this.own.splice(this.own.indexOf(instance), 1);
  }

  private removeTarget(instance: Instance): void {
    const at = this.targets.indexOf(instance);
    if (at >= 0) this.targets.splice(at, 1);
  }

  private bounded(capacity: number): number {
    return Math.min(this.plan.maxCapacity, Math.max(this.plan.minCapacity, capacity));
  }

  private sample(now: number, periodSeconds: number): FleetSample {
    const serving = this.own.filter(({ state }) => state === 'inService');
    const mean = (value: (instance: Instance) => number) =>
      serving.reduce((sum, instance) => sum + value(instance), 0) / Math.max(1, serving.length);
    const busy = mean((instance) => {
      const total = instance.engine.busySeconds(now);
      const share = (total - instance.busyAtLastReading) / periodSeconds;
      instance.busyAtLastReading = total;
      return Math.min(1, share);
    });
    return {
      now,
      inService: serving.length,
      pending: this.own.filter(({ state }) => state === 'booting').length,
      tokensInProgress: this.tokensInProgress,
      requestsInProgress: this.requestsInProgress,
      ...(this.room !== undefined && { flow: { letIn: this.letIn, turnedAway: this.turnedAway } }),
      waiting: serving.reduce((sum, { engine }) => sum + engine.waitingCount, 0),
      gpuUtilization: 100 * busy,
      kvCacheUsage: 100 * mean(({ engine }) => engine.kvUsage(now)),
    };
  }
}
