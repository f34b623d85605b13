import type { ResolvedPlan } from '../../lib/policy/defaults';
import type { Charge } from './gcra';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** What one request costs of each limit of its plan. Requests come first: they are all that a stored answer costs. */
export function chargesOf(plan: ResolvedPlan, tokens: number): readonly [Charge, ...Charge[]] {
  const requests = limit('requests', 1, plan.requestsPerMinute, MINUTE_MS);
  const perMinute = limit('tokens', tokens, plan.tokensPerMinute, MINUTE_MS);
  if (plan.tokensPerDay === undefined) return [requests, perMinute];
  return [requests, perMinute, limit('tokensPerDay', tokens, plan.tokensPerDay, DAY_MS)];
}

function limit(name: Charge['limit'], cost: number, units: number, periodMs: number): Charge {
  return { limit: name, cost, emissionMs: periodMs / units, burstMs: periodMs };
}

/**
 * The share of a plan that one function instance grants while the store is lost.
 *
 * An instance serves one request at a time, so a tenant occupies at most `parallelRequests` instances at once, and that
 * many shares make the whole limit. The burst stays large enough for one request of the largest size, or a small plan
 * would admit nothing.
 */
export function localChargesOf(plan: ResolvedPlan, tokens: number): readonly [Charge, ...Charge[]] {
  const largest: Record<Charge['limit'], number> = {
    requests: 1,
    tokens: plan.maxTokensPerRequest,
    tokensPerDay: plan.maxTokensPerRequest,
  };
  const [requests, ...rest] = chargesOf(plan, tokens);
  const share = (charge: Charge): Charge => {
    const emissionMs = charge.emissionMs * plan.parallelRequests;
    return { ...charge, emissionMs, burstMs: Math.max(charge.burstMs, largest[charge.limit] * emissionMs) };
  };
  return [share(requests), ...rest.map(share)];
}
