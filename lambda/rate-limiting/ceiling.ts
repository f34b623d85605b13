import type { Charge } from './gcra';
import type { MoneyCharge } from './money';

/**
 * What background work may take: a share of every limit, so that interactive requests always find the rest. Only what a
 * limit holds at once is less for it; it is earned back as fast. A request that is larger than the share is admitted where
 * nothing else is spent, or it could never be.
 */

/** A limit as background work finds it. */
export function belowCeiling(charge: Charge, ceiling: number): Charge {
  return { ...charge, burstMs: Math.max(charge.burstMs * ceiling, charge.cost * charge.emissionMs) };
}

/** A budget as background work finds it. */
export function moneyBelowCeiling(charge: MoneyCharge, ceiling: number): MoneyCharge {
  return { ...charge, most: Math.max(charge.most * ceiling, charge.cost) };
}

/** The parallel requests of a tenant up to which background work may run, at least one. */
export function slotsBelowCeiling(parallelRequests: number, ceiling: number): number {
  // 0.29 × 100 is a hair less than 29.
  return Math.max(1, Math.floor(parallelRequests * ceiling + 1e-9));
}
