/**
 * The law by which a fleet follows its work: how many instances it should have, as a share of those that it has. No AWS,
 * no clock: the scaling signal publishes what it returns, and the simulator replays traces against it.
 */
import { capacityForZoneLoss, ONE_UNIT } from '../../lib/policy/zone-loss';
import { type BootMemory, learnBoot } from './boot-time';
import { freshFlow, freshTokens, greatestDemand, type LoadGuard, type LoadInput, sizeOf } from './fleet-demand';
import type { FleetRating, FleetReading, Overload } from './fleet-reading';
import { type HeldSize, hold } from './held-size';
import { withReserve } from './reserve';
import { askedOverLetIn, followFlow, type FlowMemory } from './turned-away';
import { followWork, workAhead, type WorkMemory } from './work';

/** The load of a fleet. */
export interface FleetLoad {
  /** Per cent of what the fleet should have, pending instances included, 0 to `MOST_LOAD`: above 100 it must grow. */
  readonly load: number;
  /** The same for a fleet that asks for one instance less: while it is below 100, one can go. */
  readonly loadWithoutOne: number;
  /** Instances that the fleet should have: the most of what the work asked for lately. */
  readonly wanted: number;
  /** Instances that the work asks for now, 0 to `MOST_INSTANCES`. */
  readonly instances: number;
  readonly decidedBy: LoadInput;
  readonly guard?: LoadGuard;
  /** How long a boot is expected to take, in seconds. */
  readonly bootSeconds: number;
}

/** What the law remembers of a fleet from one reading to the next. Lost, it is made anew: then nothing goes for a while. */
export interface FleetMemory {
  readonly boot?: BootMemory;
  readonly work?: WorkMemory;
  readonly flow?: FlowMemory;
  readonly held?: readonly HeldSize[];
  /** Since when the tokens have asked for more instances than there are, in milliseconds since 1970. */
  readonly shortSince?: number;
}

/** The most that is reported: target tracking multiplies a fleet by its load, and tenfold is a wrong reading. */
export const MOST_LOAD = 1000;

/** Beyond what Auto Scaling lets a group have. */
export const MOST_INSTANCES = 10_000;

/** Target tracking rounds up: a hair too much would be an instance too many. */
const ROUNDING = 0.05;

/** While a fleet has stood for so many boots with less work than it could carry, an instance of it can go. */
const HELD_BOOTS = 2;

/**
 * The load of a fleet: the instances that it should have over those in service and pending. Pending ones count in full:
 * then the load is 100 as soon as the right number was asked for, and target tracking does not ask again while they boot.
 *
 * It should have what the work asks for now, or has asked for within the last two boots: up at once, down late.
 *
 * @param memory what the law returned with the last reading
 * @returns no load where too little is known to say anything: then nothing is published, and the policy on GPU
 *   utilisation takes over
 */
export function followLoad(
  reading: FleetReading,
  rating: FleetRating,
  memory: FleetMemory = {},
): { readonly load?: FleetLoad; readonly memory: FleetMemory } {
  const known = sizeOf(reading);
  if (!known) return { memory };
  const { inService, size, excess } = known;
  const units = rating.units ?? ONE_UNIT;
  const boot = learnBoot(memory.boot, reading.capacity!);
  const tokens = freshTokens(reading);
  const work = tokens && followWork(memory.work, tokens, inService, rating.tokensPerInstance);
  const read = freshFlow(reading);
  const flow = read && followFlow(memory.flow, read);
  const asked = flow ? askedOverLetIn(flow) : 1;
  const ahead = work && workAhead(work, rating.tokensPerInstance, asked);
  const overload = rating.overload ?? 'queues';
  const forTokens = ahead && withReserve(ahead, boot.seconds, overload);
  const { shortSince: since, ...before } = memory;
  const shortSince = tokens && forTokens !== undefined && forTokens > size ? (since ?? tokens.at) : undefined;
  const remembered = {
    ...{ ...before, boot },
    ...(work && { work }),
    ...(flow && { flow }),
    ...(shortSince !== undefined && { shortSince }),
  };

  const forWork = forTokens === undefined ? undefined : { instances: forTokens, since: shortSince ?? reading.now };
  const demand = greatestDemand(reading, rating, known, forWork);
  if (!demand) return { memory: remembered };
  const instances = Math.min(MOST_INSTANCES, demand.instances);
  // Without the hair's breadth, rounding would ask for one more.
  const whole = Math.ceil(instances - 1e-9);
  // What is kept free for chance is there for the loss of a zone, too: both at once are not reckoned with.
  const bare = ahead !== undefined && demand.input === 'tokens' && !demand.guard;
  const needed = bare ? Math.ceil(withReserve(ahead, boot.seconds, bareOf(overload)) - 1e-9) : whole;
  const withSpare =
    rating.zones === undefined ? whole : Math.max(whole, capacityForZoneLoss(needed, rating.zones, units));
  const safe = Math.min(MOST_INSTANCES, withSpare);
  const seconds = rating.holdSeconds ?? HELD_BOOTS * boot.seconds;
  const held = hold(memory.held, reading.now, safe, { seconds, size });
  const wanted = held[0].instances;
  return {
    load: {
      load: share(wanted, size),
      loadWithoutOne: share(wanted, Math.max(0, oneLess(size - excess, units.step))),
      ...{ wanted, instances, decidedBy: demand.input },
      ...(demand.guard && { guard: demand.guard }),
      bootSeconds: boot.seconds,
    },
    memory: { ...remembered, held },
  };
}

/** What is there when one step less is asked for: instances are whole, so what is asked for is had up to the next step. */
function oneLess(asked: number, step: number): number {
  return step * (Math.ceil(asked / step) - 1);
}

/** The same without what is kept for chance. */
function bareOf(overload: Overload): Overload {
  return overload === 'queues' ? 'refuses' : overload;
}

/** Work for no instance is no load; work without any instance is the most. */
function share(wanted: number, size: number): number {
  if (wanted === 0) return 0;
  return size === 0 ? MOST_LOAD : Math.min(MOST_LOAD, (100 * (wanted - ROUNDING)) / size);
}
