import type { CallSignal } from './backend-port';
import type { AdmitRequest, RequestStore } from './request-store';

/** Pauses between two looks: the first of these, each half as long again as the one before, up to the second. */
const FIRST_PAUSE_MS = 20;
const MOST_PAUSE_MS = 250;

/** Who has waited so long computes by itself: the function that it waits for may have crashed. */
const MOST_WAIT_MS = 60_000;

/**
 * Waits until the identical request that is being computed has ended, so that a stampede computes once. Settles as well
 * when it has waited for too long, when the client is gone and when the store is lost: the caller asks the store again
 * in any case.
 */
export async function awaitFlight(
  request: AdmitRequest,
  store: RequestStore,
  {
    pause,
    random,
    now,
    hungUp,
  }: {
    readonly pause: (ms: number) => Promise<void>;
    readonly random: () => number;
    readonly now: () => number;
    readonly hungUp: CallSignal;
  },
): Promise<void> {
  const until = now() + MOST_WAIT_MS;
  let longest = FIRST_PAUSE_MS;
  while (now() < until && !hungUp.aborted) {
    // Spread, so that many that wait do not ask at the same moment.
    await pause(longest * (0.5 + random() / 2));
    longest = Math.min(longest * 1.5, MOST_PAUSE_MS);
    const isFlying = await store.isFlying(request).catch(() => false);
    if (!isFlying) return;
  }
}
