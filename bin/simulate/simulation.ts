import { Happening } from './agenda';
import { EventQueue } from './event-queue';
import { Fleet, type FleetPlan } from './fleet';
import { Gateway, type GatewayLink, type OutsideService } from './gateway';
import type { Instance } from './instance';
import { seededRandom } from './random';
import { Requests } from './requests';
import type { Trace } from './trace';

/** A backend of the chain, and what stands behind it. */
export interface BackendPlan extends Omit<GatewayLink, 'serves'> {
  readonly serves: FleetPlan | OutsideService;
}

/** The loss of a zone. */
export interface ZoneLoss {
  readonly zone: number;
  readonly atSeconds: number;
  /** Until health checks take the zone's instances out: three of 10 s. */
  readonly silentSeconds: number;
}

/** All that a run depends on. */
export interface Scenario {
  readonly trace: Trace;
  readonly backends: readonly BackendPlan[];
  /** Output that the gateway reserves for each request. */
  readonly expectedOutputTokens: number;
  readonly seed: number;
  readonly zoneLoss?: ZoneLoss;
  /** Distance of the samples that the plot shows, in seconds. */
  readonly sampleSeconds: number;
}

/** The fleets at one moment, all together. */
export interface Sample {
  readonly at: number;
  readonly inService: number;
  /** Booting and draining ones included. */
  readonly paid: number;
  readonly desired: number;
  readonly requestsInProgress: number;
}

/** What a run gives. */
export interface SimulationResult {
  readonly requests: Requests;
  readonly samples: readonly Sample[];
  /** GPU-hours that were paid for from the start to the end of the trace. */
  readonly gpuHours: number;
  readonly instanceHours: number;
  readonly launches: number;
  readonly terminations: number;
  readonly preemptions: number;
  /** Requests that each backend answered. */
  readonly servedBy: readonly { readonly backend: string; readonly requests: number }[];
  /** Events that were dealt with, arrivals included. */
  readonly events: number;
}

/** Random streams of a run. What is drawn for one thing does not depend on the others. */
const STREAM = { gateway: 100, firstFleet: 101 } as const;

/**
 * Replays a trace. The same scenario gives the same result, always: time is simulated, and each draw comes from the seed.
 *
 * @param onProgress is told the share of the trace that is done, 0 to 1, at each sample
 */
export function simulate(scenario: Scenario, onProgress: (share: number) => void = () => undefined): SimulationResult {
  const { trace, seed, zoneLoss, sampleSeconds } = scenario;
  const queue = new EventQueue();
  const requests = new Requests(trace, scenario.expectedOutputTokens);
  const instances: Instance[] = [];
  const fleets: Fleet[] = [];
  const links = scenario.backends.map((backend): GatewayLink => {
    const { serves } = backend;
    if (!('profiles' in serves)) return { ...backend, serves };
    const fleet: Fleet = new Fleet(fleets.length, serves, {
      agenda: queue,
      requests,
      random: seededRandom(seed, STREAM.firstFleet + fleets.length),
      instances,
      onServed: (request, instance, now) => gateway.serve(request, instance, now),
      onCutOff: (request, instance, now) => gateway.cutOff(request, instance, now),
    });
    fleets.push(fleet);
    return { ...backend, serves: fleet };
  });
  const gateway = new Gateway(links, requests, queue, seededRandom(seed, STREAM.gateway));

  if (zoneLoss) {
    queue.add(zoneLoss.atSeconds, Happening.ZONE_LOST, zoneLoss.zone);
    queue.add(zoneLoss.atSeconds + zoneLoss.silentSeconds, Happening.ZONE_NOTICED, zoneLoss.zone);
  }
  const samples: Sample[] = [];
  queue.add(0, Happening.SAMPLE, 0);

  const happen = (): void => {
    const { time, subject, version } = queue;
    switch (queue.kind as Happening) {
      case Happening.STEPS_DONE:
        return instances[subject]!.engine.wake(time, version);
      case Happening.IN_SERVICE:
        return fleets[instances[subject]!.fleet]!.serve(instances[subject]!, time);
      case Happening.DRAIN_LIMIT:
        return fleets[instances[subject]!.fleet]!.endDraining(instances[subject]!, time);
      case Happening.DATAPOINT:
        return fleets[subject]!.followSignal(time);
      case Happening.FIRST_TOKEN_LIMIT:
      case Happening.CONNECT_FAILED:
        return gateway.timeOut(subject, version, instances, time);
      case Happening.RETRY:
        return gateway.retry(subject, version, time);
      case Happening.SERVICE_BEGINS:
        return gateway.beginOutside(subject, version, time);
      case Happening.SERVICE_ENDS:
        return gateway.endOutside(subject, version, time);
      case Happening.ZONE_LOST:
        return fleets.forEach((fleet) => fleet.loseZone(subject, time));
      case Happening.ZONE_NOTICED:
        return fleets.forEach((fleet) => fleet.noticeLoss(subject, time));
      case Happening.SAMPLE: {
        const sum = (value: (fleet: Fleet) => number) => fleets.reduce((total, fleet) => total + value(fleet), 0);
        samples.push({
          at: time,
          inService: sum(({ inService }) => inService),
          paid: sum(({ paid }) => paid),
          desired: sum(({ desired }) => desired),
          requestsInProgress: sum(({ inProgress }) => inProgress),
        });
        onProgress(requests.ended / requests.count);
        if (time + sampleSeconds <= trace.duration) queue.add(time + sampleSeconds, Happening.SAMPLE, 0);
        return;
      }
    }
  };

  let events = 0;
  let arriving = 0;
  for (;;) {
    const arrival = arriving < requests.count ? trace.arrivals[arriving]! : Infinity;
    const next = Math.min(arrival, queue.nextTime);
    if (requests.ended === requests.count && next > trace.duration) break;
    if (next === Infinity) throw new Error(`${requests.count - requests.ended} requests can never end`);
    events += 1;
    if (arrival <= queue.nextTime) gateway.arrive(arriving++, arrival);
    else if (queue.take()) happen();
  }
  onProgress(1);
  const hours = (weight: (instance: Instance) => number) =>
    instances.reduce((sum, instance) => sum + instance.lifeUntil(trace.duration) * weight(instance), 0) / 3600;
  return {
    requests,
    samples,
    gpuHours: hours(({ profile }) => profile.gpus),
    instanceHours: hours(() => 1),
    launches: fleets.reduce((sum, fleet) => sum + fleet.launches - fleet.firstSize, 0),
    terminations: fleets.reduce((sum, fleet) => sum + fleet.terminations, 0),
    preemptions: instances.reduce((sum, { engine }) => sum + engine.preemptions, 0),
    servedBy: scenario.backends.map(({ name }, index) => ({ backend: name, requests: gateway.served[index]! })),
    events,
  };
}
