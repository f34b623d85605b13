import type { ResolvedPlan } from '../../lib/policy/defaults';
import { localChargesOf } from './charges';
import { admit, settle, type Verdict } from './gcra';
import type { ChargedLimit } from './headers';

/** The limits of this process, which hold each tenant to this instance's share while the store is lost. */
export class LocalLimits {
  private readonly arrivals = new Map<string, number>();

  /** Charges a request to the tenant's share. */
  public admit(
    tenant: string,
    plan: ResolvedPlan,
    tokens: number,
    now: number,
  ): Verdict & { readonly limits: readonly ChargedLimit[] } {
    const charges = localChargesOf(plan, tokens);
    const known = charges.map(({ limit }) => this.arrivals.get(`${tenant}/${limit}`));
    const verdict = admit(charges, known, now);
    charges.forEach(({ limit }, i) => this.arrivals.set(`${tenant}/${limit}`, verdict.arrivals[i]!));
    return { ...verdict, limits: charges.map((charge, i) => ({ charge, arrival: verdict.arrivals[i]! })) };
  }

  /** Corrects a charge to the true number of tokens. */
  public settle(tenant: string, plan: ResolvedPlan, tokenDifference: number, now: number): void {
    for (const { limit, emissionMs } of localChargesOf(plan, 0).slice(1)) {
      const field = `${tenant}/${limit}`;
      this.arrivals.set(field, settle(this.arrivals.get(field), tokenDifference, emissionMs, now));
    }
  }
}
