import { type Cost, localChargesOf } from './charges';
import { admit, fieldOf, settle, type Verdict } from './gcra';
import type { ChargedLimit } from './headers';

/** The limits of this process, which hold each tenant to this instance's share while the store is lost. */
export class LocalLimits {
  private readonly arrivals = new Map<string, number>();

  /** Charges a request to the tenant's share. */
  public admit(tenant: string, cost: Cost, now: number): Verdict & { readonly limits: readonly ChargedLimit[] } {
    const charges = localChargesOf(cost, now);
    const known = charges.map((charge) => this.arrivals.get(`${tenant}/${fieldOf(charge)}`));
    const verdict = admit(charges, known, now);
    charges.forEach((charge, i) => this.arrivals.set(`${tenant}/${fieldOf(charge)}`, verdict.arrivals[i]!));
    return { ...verdict, limits: charges.map((charge, i) => ({ charge, arrival: verdict.arrivals[i]! })) };
  }

  /** Corrects a charge to the true cost. */
  public settle(tenant: string, reserved: Cost, used: Cost, now: number): void {
    const after = localChargesOf(used, now);
    localChargesOf(reserved, now).forEach((charge, i) => {
      if (charge.limit === 'requests') return;
      const field = `${tenant}/${fieldOf(charge)}`;
      const difference = after[i]!.cost - charge.cost;
      this.arrivals.set(field, settle(this.arrivals.get(field), difference, charge.emissionMs, now));
    });
  }
}
