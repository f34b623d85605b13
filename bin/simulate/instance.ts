import { type Agenda, Happening } from './agenda';
import type { Target } from './balancers';
import { BatchingEngine } from './batching-engine';
import type { InstanceProfile } from './instance-profile';
import type { Requests } from './requests';

/** Where an instance is in its life. `LOST`: gone, and still a target, for nobody has noticed. */
export type InstanceState = 'booting' | 'inService' | 'draining' | 'lost' | 'ended';

/** What an instance is made for. */
export interface InstanceOrder {
  /** Its number in the run. */
  readonly id: number;
  /** Number of its fleet. */
  readonly fleet: number;
  readonly profile: InstanceProfile;
  readonly zone: number;
  readonly launchedAt: number;
}

/** An instance of a fleet: a model server, and what a load balancer knows of it. */
export class Instance implements Target {
  public readonly id: number;
  public readonly fleet: number;
  public readonly profile: InstanceProfile;
  public readonly zone: number;
  public readonly launchedAt: number;
  public readonly engine: BatchingEngine;
  public state: InstanceState = 'booting';
  public endedAt = Infinity;
  public outstanding = 0;
  public outstandingTokens = 0;
  /** Requests that are held by an instance that was lost, or were sent to it since. */
  public held: number[] = [];
  /** Seconds that it had computed when the fleet's metric was last read. */
  public busyAtLastReading = 0;

  constructor(
    order: InstanceOrder,
    private readonly requests: Requests,
    agenda: Agenda,
    onServed: (request: number, now: number) => void,
  ) {
    this.id = order.id;
    this.fleet = order.fleet;
    this.profile = order.profile;
    this.zone = order.zone;
    this.launchedAt = order.launchedAt;
    this.engine = new BatchingEngine(order.profile, requests, {
      wakeAt: (time, version) => agenda.add(time, Happening.STEPS_DONE, order.id, version),
      onServed,
    });
  }

  /** Takes a request from the load balancer. */
  public take(request: number, now: number): void {
    this.requests.instance[request] = this.id;
    this.outstanding += 1;
    this.outstandingTokens += this.requests.reserved[request]!;
    if (this.state === 'lost') this.held.push(request);
    else this.engine.add(request, now);
  }

  /** Forgets a request that has ended here, one way or the other. */
  public release(request: number): void {
    this.requests.instance[request] = -1;
    this.outstanding -= 1;
    this.outstandingTokens -= this.requests.reserved[request]!;
  }

  /** Seconds of its life that are paid for, up to a time. */
  public lifeUntil(time: number): number {
    return Math.max(0, Math.min(this.endedAt, time) - Math.min(this.launchedAt, time));
  }
}
