import { AwsError } from './aws-error';

/** How often a call is tried, and what passes between the tries. */
export interface RetryPorts {
  /** The most times that a call is made, 1 for no second try. */
  readonly attempts: number;
  /** At least 0, below 1. */
  readonly random: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/**
 * Makes a call again where that may help: where it was turned away, and, if it may be made twice, where nobody knows
 * whether it was carried out.
 *
 * @throws AwsError of the last try, which says so where it came after one that may have been carried out
 */
export async function withRetries<T>(call: () => Promise<T>, isRepeatable: boolean, ports: RetryPorts): Promise<T> {
  let wasUncertain = false;
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      error.followsUncertain = wasUncertain;
      const mayHelp = error.wasTurnedAway || (isRepeatable && error.isUncertain);
      if (!mayHelp || tries >= ports.attempts) throw error;
      wasUncertain ||= error.isUncertain;
      await ports.pause(jitteredMs(tries, ports.random));
    }
  }
}

/** Full jitter: anything up to a bound that doubles with each try, so that those who failed together do not return so. */
export function jitteredMs(tries: number, random: () => number): number {
  return random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1));
}
