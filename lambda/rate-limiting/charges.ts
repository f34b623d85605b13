import type { ResolvedModel, ResolvedPlan } from '../../lib/policy/defaults';
import { belowCeiling, moneyBelowCeiling } from './ceiling';
import type { Charge } from './gcra';
import { type MoneyCharge, monthEndOf } from './money';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const MONTH_MS = 30 * DAY_MS;

/** What is charged for one request. */
export interface Charges {
  /** Those that count requests come first: they are all that a stored answer costs. */
  readonly limits: readonly [Charge, ...Charge[]];
  /** How many of them count requests. */
  readonly requestLimits: number;
  readonly money?: MoneyCharge;
}

/** The part of a request that costs. */
export interface Cost {
  readonly plan: ResolvedPlan;
  readonly model: Pick<ResolvedModel, 'name' | 'price'>;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Share of each limit that it may fill; undefined where all of it. */
  readonly ceiling?: number;
}

/** What a request costs of each limit: those of its plan, and those that the plan sets for its model. */
export function chargesOf(cost: Cost, now: number): Charges {
  const charges = fullChargesOf(cost, now);
  const { ceiling } = cost;
  if (ceiling === undefined) return charges;
  const { limits, requestLimits, money } = charges;
  return {
    limits: allBelow(limits, ceiling),
    requestLimits,
    ...(money && { money: moneyBelowCeiling(money, ceiling) }),
  };
}

function allBelow([first, ...rest]: Charges['limits'], ceiling: number): Charges['limits'] {
  return [belowCeiling(first, ceiling), ...rest.map((charge) => belowCeiling(charge, ceiling))];
}

function fullChargesOf(cost: Cost, now: number): Charges {
  const { plan, model } = cost;
  const tokens = cost.inputTokens + cost.outputTokens;
  const own = plan.modelLimits?.find((limits) => limits.model === model.name);
  const limits: [Charge, ...Charge[]] = [limit('requests', 1, plan.requestsPerMinute, MINUTE_MS)];
  if (own?.requestsPerMinute !== undefined) {
    limits.push(limit('requests', 1, own.requestsPerMinute, MINUTE_MS, model.name));
  }
  const requestLimits = limits.length;
  limits.push(limit('tokens', tokens, plan.tokensPerMinute, MINUTE_MS));
  if (plan.tokensPerDay !== undefined) limits.push(limit('tokensPerDay', tokens, plan.tokensPerDay, DAY_MS));
  if (own?.tokensPerMinute !== undefined) {
    limits.push(limit('tokens', tokens, own.tokensPerMinute, MINUTE_MS, model.name));
  }
  if (own?.tokensPerDay !== undefined) {
    limits.push(limit('tokensPerDay', tokens, own.tokensPerDay, DAY_MS, model.name));
  }
  if (plan.moneyPerMonth === undefined) return { limits, requestLimits };
  const money = { cost: moneyOf(cost), most: plan.moneyPerMonth, monthEnd: monthEndOf(now) };
  return { limits, requestLimits, money };
}

/** What tokens cost, in the currency of the policy's prices; nothing where the model has none. */
export function moneyOf({ model, inputTokens, outputTokens }: Omit<Cost, 'plan' | 'ceiling'>): number {
  const { price } = model;
  if (!price) return 0;
  return (inputTokens * price.inputPerMillionTokens + outputTokens * price.outputPerMillionTokens) / 1_000_000;
}

function limit(name: Charge['limit'], cost: number, units: number, periodMs: number, model?: string): Charge {
  return { limit: name, cost, emissionMs: periodMs / units, burstMs: periodMs, ...(model !== undefined && { model }) };
}

/**
 * The share of a plan that one function instance grants while the store is lost.
 *
 * An instance serves one request at a time, so a tenant occupies at most `parallelRequests` instances at once, and that
 * many shares make the whole limit. The burst stays large enough for one request of the largest size, or a small plan
 * would admit nothing. Money is a bucket here, which earns the budget over thirty days and lets a day's worth of it be
 * spent at once: an instance does not know what the month has cost so far.
 */
export function localChargesOf(cost: Cost, now: number): Charges['limits'] {
  const { plan, ceiling } = cost;
  const { limits, money } = fullChargesOf(cost, now);
  const largest: Record<Charge['limit'], number> = {
    requests: 1,
    tokens: plan.maxTokensPerRequest,
    tokensPerDay: plan.maxTokensPerRequest,
    money: money?.cost ?? 0,
  };
  const share = (charge: Charge): Charge => {
    const emissionMs = charge.emissionMs * plan.parallelRequests;
    return { ...charge, emissionMs, burstMs: Math.max(charge.burstMs, largest[charge.limit] * emissionMs) };
  };
  const [requests, ...rest] = limits;
  const shares: [Charge, ...Charge[]] = [share(requests), ...rest.map(share)];
  if (money) {
    shares.push(share({ limit: 'money', cost: money.cost, emissionMs: MONTH_MS / money.most, burstMs: DAY_MS }));
  }
  return ceiling === undefined ? shares : allBelow(shares, ceiling);
}
