/**
 * A budget of money for the calendar month, in UTC. Unlike the other limits it is no bucket that refills: who pays a
 * bill a month wants to know its most. The law in plain code; `admit.lua` and `settle.lua` keep the books in the store.
 */

/** What one request costs of a tenant's budget, in the currency of the policy's prices. */
export interface MoneyCharge {
  readonly cost: number;
  /** The most of a month. */
  readonly most: number;
  /** When the month ends, in milliseconds since 1970. */
  readonly monthEnd: number;
}

/** What a tenant has spent until the end of a month. */
export interface MoneySpent {
  readonly spent: number;
  readonly monthEnd: number;
}

/** The end of the month that a moment lies in, and so the beginning of the next. */
export function monthEndOf(now: number): number {
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** Charges a request, or says how long the budget stays spent. */
export function admitMoney(
  charge: MoneyCharge,
  known: MoneySpent | undefined,
  now: number,
): { readonly admitted: boolean; readonly retryAfterMs: number; readonly after: MoneySpent } {
  const before = known && known.monthEnd > now ? known : { spent: 0, monthEnd: charge.monthEnd };
  if (before.spent + charge.cost > charge.most) {
    return { admitted: false, retryAfterMs: before.monthEnd - now, after: before };
  }
  return { admitted: true, retryAfterMs: 0, after: { ...before, spent: before.spent + charge.cost } };
}

/** Corrects a charge. What a month has begun is not settled in the next. */
export function settleMoney(known: MoneySpent | undefined, difference: number, now: number): MoneySpent | undefined {
  return known && known.monthEnd > now ? { ...known, spent: known.spent + difference } : known;
}
