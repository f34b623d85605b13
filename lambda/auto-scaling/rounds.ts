/** EventBridge's finest rate is a minute: one invocation makes the rounds of that minute. */
export const ROUND_MS = 10_000;
const ROUNDS = 6;

/** No round begins with less than this left: reading and publishing have 3 s each. */
const LEAST_TIME_MS = 8000;

/** By what the rounds go. */
export interface RoundClock {
  /** Milliseconds, of whatever clock. */
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
  /** What is left of the invocation, in milliseconds. */
  readonly remainingMs: () => number;
}

/**
 * Runs a round at once and then every 10 s, six in all, by the clock: a slow round does not push back the next ones, and
 * one that it has overrun is left out. Ends in time for the next invocation.
 *
 * @throws the last round's error where every round has failed
 */
export async function runRounds(
  round: () => Promise<void>,
  warn: (error: Error) => void,
  { now, pause, remainingMs }: RoundClock,
): Promise<void> {
  const start = now();
  let succeeded = false;
  let failure: Error | undefined;
  for (let slot = 0; slot < ROUNDS; slot = Math.max(slot + 1, Math.ceil((now() - start) / ROUND_MS))) {
    const wait = Math.max(0, start + slot * ROUND_MS - now());
    if (remainingMs() - wait < LEAST_TIME_MS) break;
    if (wait > 0) await pause(wait);
    try {
      await round();
      succeeded = true;
    } catch (error) {
      failure = error as Error;
      warn(failure);
    }
  }
  if (!succeeded) throw failure ?? new Error(`no round was made: less than ${LEAST_TIME_MS} ms were left`);
}
