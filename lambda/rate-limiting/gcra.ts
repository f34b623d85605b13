/**
 * The weighted generic cell rate algorithm, on several limits at once and all-or-nothing.
 *
 * A limit's whole state is one time, the theoretical arrival time (TAT): the moment at which all that was spent is
 * earned back. This is the law in plain code; `admit.lua` and `settle.lua` are the same arithmetic in the store.
 */

/** One limit and what the request at hand costs of it. */
export interface Charge {
  readonly limit: LimitName;
  /** Model that the limit is for; undefined for one of the whole plan. */
  readonly model?: string;
  /** Units spent: 1 request, or a number of tokens. */
  readonly cost: number;
  /** Milliseconds in which one unit is earned back. */
  readonly emissionMs: number;
  /** What may be spent at once by who has spent nothing for long, as the time in which it is earned. */
  readonly burstMs: number;
}

/** What a limit counts. Money is kept as an arrival time only while the store is lost. */
export type LimitName = 'requests' | 'tokens' | 'tokensPerDay' | 'money';

/** Field under which a limit's state is kept. */
export function fieldOf({ limit, model }: Pick<Charge, 'limit' | 'model'>): string {
  return model === undefined ? limit : `${limit}@${model}`;
}

/** Whether all limits have room, and their states after the charge. */
export interface Verdict {
  readonly admitted: boolean;
  /** Limit that needs the longest wait; undefined when admitted. */
  readonly refusedBy?: Charge;
  /** After how long the same charge is admitted if nobody else spends meanwhile; 0 when admitted. */
  readonly retryAfterMs: number;
  /** Arrival times after the charge, or unchanged when refused. */
  readonly arrivals: readonly number[];
}

/**
 * Doubles near today's epoch in milliseconds are 0.00024 apart, so a burst spent unit by unit adds up to a hair more
 * than the burst. A hundredth of a millisecond forgives that, and is worth no more than 0.03 tokens at 200,000 a minute.
 */
export const ROUNDING_MS = 0.01;

/** Charges all limits or none. `arrivals` holds the state of each charge's limit, undefined for one never used. */
export function admit(charges: readonly Charge[], arrivals: readonly (number | undefined)[], now: number): Verdict {
  const before = charges.map((_, i) => Math.max(arrivals[i] ?? 0, now));
  const after = charges.map((charge, i) => before[i]! + charge.cost * charge.emissionMs);
  let refusedBy: Charge | undefined;
  let retryAfterMs = 0;
  charges.forEach((charge, i) => {
    const wait = after[i]! - charge.burstMs - now;
    if (wait > ROUNDING_MS && wait > retryAfterMs) {
      refusedBy = charge;
      retryAfterMs = wait;
    }
  });
  return refusedBy
    ? { admitted: false, refusedBy, retryAfterMs, arrivals: before }
    : { admitted: true, retryAfterMs: 0, arrivals: after };
}

/**
 * Corrects a charge to the true cost. A debt is carried: the arrival time may move past the burst. A refund cannot give
 * more than a full burst, since an arrival time in the past counts as now.
 */
export function settle(arrival: number | undefined, difference: number, emissionMs: number, now: number): number {
  return (arrival ?? now) + difference * emissionMs;
}

/** What is left of a limit: whole units, and the time until it is full again. */
export function remaining(charge: Charge, arrival: number, now: number): { units: number; resetMs: number } {
  const spentMs = Math.max(0, arrival - now);
  const units = Math.floor((charge.burstMs - spentMs + ROUNDING_MS) / charge.emissionMs);
  return { units: Math.max(0, units), resetMs: spentMs };
}
