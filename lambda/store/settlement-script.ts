import { type BreakerRules, type BreakerStatus } from '../circuit-breaking/breaker';
import { LETTER } from '../circuit-breaking/outcome-window';
import type { CallOutcome, Settlement, Transition } from '../gateway/request-store';
import { KEPT_MS } from '../gateway/idempotency';
import { loadTenantOf } from '../load-balancing/load';
import { chargesOf, moneyOf } from '../rate-limiting/charges';
import { fieldOf } from '../rate-limiting/gcra';
import type { Command } from './connection';
import { breakerKey, limitsKey, loadKey, slotsKey } from './keys';
import { SCRIPTS } from './scripts';

/** A breaker that no call has touched for a day starts afresh. */
export const BREAKER_LIFE_MS = 86_400_000;

/** Outcomes that a breaker has to hear of: outside of a probe, an ignored one changes nothing. */
export function recordedOf(outcomes: readonly CallOutcome[]): readonly CallOutcome[] {
  return outcomes.filter(({ outcome, probe, cooldownMs }) => outcome !== 'ignored' || probe || cooldownMs);
}

/** How a settlement is sent. */
interface Manner {
  /** Only for a request that still holds its slot: it may be settled already, or was never admitted. */
  readonly onlyIfHeld?: boolean;
  /** Nothing but the outcomes of its calls. */
  readonly onlyOutcomes?: boolean;
  /** The slot, where it is not named as the request. */
  readonly slot?: string;
}

/** The command that settles a request. */
export function settleCommand(
  { admitted, loadedAt, used, outcomes, entry }: Settlement,
  { onlyIfHeld, onlyOutcomes, slot = admitted.id }: Manner = {},
): Command {
  const { cache, idempotency, chain } = admitted;
  const stores = entry && cache?.retainMs !== undefined;
  const touchesEntry = stores === true || cache?.leads === true;
  const keys = [limitsKey(admitted.tenant), slotsKey(admitted.tenant)];
  if (touchesEntry) keys.push(cache.key);
  if (idempotency) keys.push(idempotency.key);
  const flags =
    (touchesEntry ? 'e' : '') +
    (idempotency ? 'i' : '') +
    (onlyIfHeld ? 'h' : '') +
    (onlyOutcomes ? 'o' : '') +
    (stores ? 's' : '') +
    (entry && idempotency ? 'k' : '');
  const args = [slot, String(admitted.leaseMs), flags, String(cache?.retainMs ?? '')];
  // The answer travels only where it is kept.
  if (entry && (stores || idempotency)) args.push(entry.contentType, entry.servedBy, entry.body);
  else args.push('', '', '');
  args.push(String(KEPT_MS), ...differencesOf({ admitted, used }), loadTenantOf(admitted));

  const loads = chain.filter(({ backend, counted }) => counted && (loadedAt ?? backend.name) === backend.name);
  args.push(String(loads.length));
  for (const { backend } of loads) keys.push(loadKey(backend.name));
  args.push(String(outcomes.length));
  for (const { backend, outcome, cooldownMs } of outcomes) {
    keys.push(breakerKey(backend.name));
    args.push(LETTER[outcome], String(cooldownMs ?? 0), ...rulesOf(backend.breaker));
  }
  return { script: SCRIPTS.settle, keys, args };
}

/** The breakers that a settlement has changed, from the reply to {@link settleCommand}. */
export function transitionsOf(reply: unknown, outcomes: readonly CallOutcome[]): readonly Transition[] {
  const statuses = (reply as string).split(';');
  return outcomes.flatMap(({ backend }, i) => {
    const [from, to, until] = statuses[i]!.split(',') as [BreakerStatus, BreakerStatus, string];
    if (from === to) return [];
    return [{ backend: backend.name, from, to, ...(to === 'open' && { openUntil: Number(until) }) }];
  });
}

/** By how much each limit of tokens, and the money, was charged too little or too much. */
function differencesOf({ admitted, used }: Pick<Settlement, 'admitted' | 'used'>): string[] {
  const { inputTokens, outputTokens, plan, model } = admitted;
  if (used.inputTokens === inputTokens && used.outputTokens === outputTokens) return ['0', ''];
  const { limits, requestLimits, money } = chargesOf({ plan, model, inputTokens, outputTokens }, 0);
  const tokens = used.inputTokens + used.outputTokens - inputTokens - outputTokens;
  const args = [String(limits.length - requestLimits)];
  for (const charge of limits.slice(requestLimits)) args.push(fieldOf(charge), String(tokens * charge.emissionMs));
  args.push(money ? String(moneyOf({ model, ...used }) - money.cost) : '');
  return args;
}

function rulesOf(rules: BreakerRules): string[] {
  const { window, minimumCalls, failureRate, slowRate, openMs, maxOpenMs, halfOpenProbes } = rules;
  const numbers = [window.size, minimumCalls, failureRate, slowRate, openMs, maxOpenMs, halfOpenProbes].map(String);
  return [window.kind, ...numbers, String(Math.max(BREAKER_LIFE_MS, maxOpenMs * 2))];
}
