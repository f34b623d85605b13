import type { Overload } from './fleet-reading';

/** What is kept free of a fleet. */
interface Reserve {
  /** Of each instance in any case: at its rating, a fleet cannot tell how much more there would be. */
  readonly free: number;
  /** Of each instance for a change of the load during a boot, for each second of that. */
  readonly forEachSecond: number;
  /**
   * Instances for the square root of their number: requests come at random, and the sum of many varies less than each.
   */
  readonly forChance: number;
}

/**
 * Where a full fleet queues, everyone waits behind the few that are too many; where it refuses those, nobody else does, and
 * none need be kept for chance. Where what is turned away is counted, a fleet that is too small learns at once by how
 * much, in place of one boot after the other, and needs no bridge.
 */
const RESERVES: Readonly<Record<Overload, Reserve>> = {
  queues: { free: 0.035, forEachSecond: 0.05 / 360, forChance: 0.45 },
  refuses: { free: 0.035, forEachSecond: 0.05 / 360, forChance: 0 },
  turnsAway: { free: 0.045, forEachSecond: 0, forChance: 0 },
};

/** Boots beyond this are waited for, not bridged, in seconds. */
const LONGEST_BRIDGED = 900;

/** Instances for a work, some free among them, not rounded: the solution of `usable n - chance √n = work`. */
export function withReserve(work: number, bootSeconds: number, overload: Overload): number {
  if (work === 0) return 0;
  const { free, forEachSecond, forChance } = RESERVES[overload];
  const usable = 1 - free - forEachSecond * Math.min(LONGEST_BRIDGED, bootSeconds);
  return ((forChance + Math.sqrt(forChance ** 2 + 4 * usable * work)) / (2 * usable)) ** 2;
}
