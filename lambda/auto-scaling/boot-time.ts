import type { FleetCapacity } from './fleet-reading';

/** What is taken for a boot until one was seen: an image from a registry and weights from a bucket, in seconds. */
export const ASSUMED_BOOT_SECONDS = 360;

/** An instance that takes longer than this waits for capacity that AWS does not have. */
const LONGEST_BOOT_SECONDS = 900;

/** The share of the newest boot in what is expected of the next. */
const NEWEST = 0.5;

/** How long instances have taken to boot. */
export interface BootMemory {
  readonly capacity: FleetCapacity;
  /** When each pending instance was seen first, the oldest first; undefined for those that were there before. */
  readonly since: readonly (number | undefined)[];
  /** Seconds from a launch to the first answer. */
  readonly seconds: number;
}

/** Learns how long boots take from the sizes of a fleet, read one after another: what was pending comes into service. */
export function learnBoot(memory: BootMemory | undefined, capacity: FleetCapacity): BootMemory {
  if (!memory) {
    const since = new Array<undefined>(capacity.pending).fill(undefined);
    return { capacity, since, seconds: ASSUMED_BOOT_SECONDS };
  }
  const arrived = Math.max(0, capacity.inService - memory.capacity.inService);
  const waiting = [...memory.since];
  let { seconds } = memory;
  // What came and was never pending says nothing: a large instance has units beyond those that were missing.
  for (const since of waiting.splice(0, arrived)) {
    if (since === undefined) continue;
    const took = Math.min(LONGEST_BOOT_SECONDS, (capacity.at - since) / 1000);
    seconds += NEWEST * (took - seconds);
  }
  const launched = Math.max(0, capacity.pending - waiting.length);
  waiting.push(...new Array<number>(launched).fill(capacity.at));
  // Of those that were given up, the newest are taken to be.
  return { capacity, since: waiting.slice(0, capacity.pending), seconds };
}
