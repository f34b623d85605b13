import type { ItemMessage } from '../item';

/** An item waits so long at first, then twice as long each time, up to the second. */
const FIRST_DELAY_S = 2;
const MOST_DELAY_S = 300;

/** SQS delays no message for longer. */
const LONGEST_DELAY_S = 900;

/** What is told when to come back is spread over so much more, or all of it would come back at the same moment. */
const SPREAD = 0.25;

/** Why an item is put off. */
export interface PutOff {
  /** After how long it may be tried again at the earliest, in milliseconds; undefined where that is not known. */
  readonly retryAfterMs?: number;
  /** Whether backends, or the worker itself, failed at it. */
  readonly failed?: boolean;
}

/** An item's next message: a fresh one, which no receive count was burned of. */
export interface DeferredItem {
  readonly message: ItemMessage;
  readonly delaySeconds: number;
}

/**
 * Puts an item off: it waits for longer each time, with full jitter in the upper half, and at least as long as it was told.
 *
 * @param random a number from 0 up to 1
 */
export function deferred(
  item: ItemMessage,
  { retryAfterMs = 0, failed = false }: PutOff,
  random: number,
): DeferredItem {
  const deferrals = (item.deferrals ?? 0) + 1;
  const failures = (item.failures ?? 0) + (failed ? 1 : 0);
  const growing = Math.min(MOST_DELAY_S, FIRST_DELAY_S * 2 ** Math.min(deferrals - 1, 10)) * (0.5 + random / 2);
  const told = (retryAfterMs / 1000) * (1 + SPREAD * random);
  return {
    message: { ...item, deferrals, ...(failures > 0 && { failures }) },
    delaySeconds: Math.min(LONGEST_DELAY_S, Math.ceil(Math.max(growing, told))),
  };
}

/** Gives an item back as it came, since there is no time left for it here, or another worker has it until then. */
export function givenBack(item: ItemMessage, waitMs: number): DeferredItem {
  return { message: item, delaySeconds: Math.min(LONGEST_DELAY_S, Math.max(0, Math.ceil(waitMs / 1000))) };
}
