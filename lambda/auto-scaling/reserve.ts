/** What is kept free of each instance in any case: at its rating, a fleet cannot tell how much more there would be. */
const FREE = 0.035;

/** What is kept free of it for a change of the load during a boot, for each second of that. */
const FREE_FOR_EACH_SECOND = 0.05 / 360;

/** Boots beyond this are waited for, not bridged, in seconds. */
const LONGEST_BRIDGED = 900;

/**
 * Instances that are kept free for chance, for the square root of their number: requests come at random, and the sum of
 * many varies less than each. Where a full fleet queues, everyone waits behind the few that are too many; where it
 * refuses those, nobody else does, and none need be kept.
 */
const FREE_FOR_CHANCE = { queueing: 0.45, refusing: 0 } as const;

/** Instances for a work, some free among them, not rounded: the solution of `usable n - chance √n = work`. */
export function withReserve(work: number, bootSeconds: number, refuses: boolean): number {
  if (work === 0) return 0;
  const usable = 1 - FREE - FREE_FOR_EACH_SECOND * Math.min(LONGEST_BRIDGED, bootSeconds);
  const chance = refuses ? FREE_FOR_CHANCE.refusing : FREE_FOR_CHANCE.queueing;
  return ((chance + Math.sqrt(chance ** 2 + 4 * usable * work)) / (2 * usable)) ** 2;
}

/** The least fleet, spread evenly over so many zones, of which `needed` are left when the fullest zone is lost. */
export function withoutZone(needed: number, zones: number): number {
  let size = Math.ceil((needed * zones) / (zones - 1));
  while (size - Math.ceil(size / zones) < needed) size += 1;
  return size;
}
