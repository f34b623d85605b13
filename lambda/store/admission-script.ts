import type { StoredEntry } from '../caching/entry';
import type { Admission, AdmitRequest, BackendState, RefusedBy } from '../gateway/request-store';
import { loadTenantOf } from '../load-balancing/load';
import { slotsBelowCeiling } from '../rate-limiting/ceiling';
import type { Charges } from '../rate-limiting/charges';
import { fieldOf } from '../rate-limiting/gcra';
import type { Command } from './connection';
import { breakerKey, limitsKey, loadKey, roomKey, slotsKey } from './keys';
import { SCRIPTS } from './scripts';

/** What `admit.lua` replies. */
type Reply = [
  verdict: Admission['verdict'],
  now: string,
  refusedBy: string,
  retryAfterMs: string,
  arrivals: string,
  storedAt: string,
  contentType: string,
  servedBy: string,
  body: string,
  order: string,
  loadedAt: string,
];

/** The command that admits a request; `random` gives numbers from 0 up to 1. */
export function admitCommand(request: AdmitRequest, charges: Charges, random: () => number): Command {
  const { cache, plan, chain, idempotency, hasWaited, ceiling } = request;
  const reads = cache && (cache.freshMs > 0 || cache.softMs > 0 || cache.staleAllowed || cache.leads);
  const waits = cache?.waits === true && !hasWaited && !idempotency;
  const leads = cache?.leads === true && !hasWaited;
  const flags =
    (reads ? 'e' : '') +
    (idempotency ? 'i' : '') +
    (cache?.onlyIfCached ? 'o' : '') +
    (waits ? 'w' : '') +
    (leads ? 'l' : '') +
    (hasWaited ? 'p' : '') +
    (request.asksAgain ? 'a' : '');
  const keys = [limitsKey(request.tenant), slotsKey(request.tenant)];
  if (reads) keys.push(cache.key);
  if (idempotency) keys.push(idempotency.key);
  const slots = ceiling === undefined ? plan.parallelRequests : slotsBelowCeiling(plan.parallelRequests, ceiling);
  const args = [request.id, text(slots), text(request.leaseMs), flags];
  args.push(text(cache?.freshMs ?? 0), text(cache?.softMs ?? 0), idempotency?.digest ?? '');
  args.push(text(charges.limits.length), text(charges.requestLimits));
  for (const charge of charges.limits) {
    args.push(fieldOf(charge), text(charge.cost * charge.emissionMs), text(charge.burstMs));
  }
  if (charges.money) args.push(text(charges.money.cost), text(charges.money.most), text(charges.money.monthEnd));
  else args.push('');
  const weight = ceiling === undefined ? plan.weight : 0;
  args.push(loadTenantOf(request), text(weight), text(request.inputTokens + request.outputTokens));
  args.push(text(ceiling ?? 1), text(chain.length));
  for (const { backend, share, counted, hasRoom } of chain) {
    keys.push(breakerKey(backend.name));
    if (counted) keys.push(loadKey(backend.name));
    if (hasRoom) keys.push(roomKey(backend.name));
    const counting = (counted ? 'c' : '') + (hasRoom ? 'r' : '');
    args.push(text(share), text(backend.capacityTokens ?? ''), counting, text(1 - random()));
  }
  return { script: SCRIPTS.admit, keys, args };
}

/** What the reply to {@link admitCommand} means. */
export function admissionOf(reply: unknown, request: AdmitRequest, charges: Charges): Admission {
  const [verdict, now, refusedBy, retryAfterMs, arrivals, storedAt, contentType, servedBy, body, order, loadedAt] =
    reply as Reply;
  const at = Number(now);
  const ageMs = storedAt === '' ? 0 : Math.max(0, at - Number(storedAt));
  const isGivenOut = verdict === 'hit' || verdict === 'revalidate';
  const entry: StoredEntry | undefined = isGivenOut ? { contentType, servedBy, body, ageMs } : undefined;
  return {
    verdict,
    now: at,
    limits: arrivals.split(',').map((arrival, i) => ({ charge: charges.limits[i]!, arrival: Number(arrival) })),
    ...(refusedBy !== '' && { refusedBy: refusedOf(refusedBy) }),
    retryAfterMs: Number(retryAfterMs),
    ...(entry && { entry }),
    entryIsStale: isGivenOut && !request.idempotency && ageMs >= (request.cache?.freshMs ?? 0),
    stale: !isGivenOut && storedAt !== '' && request.cache?.staleAllowed === true,
    backends: statesOf(order, request),
    ...(loadedAt !== '' && { loadedAt: request.chain[Number(loadedAt) - 1]!.backend.name }),
  };
}

/** A field of the limits' hash, or the limit that is none. */
function refusedOf(field: string): RefusedBy {
  const [limit, model] = field.split(/@(.*)/s, 2);
  return { limit: limit as 'requests', ...(model !== undefined && { model }) };
}

/** The backends with their states, in the order of the reply; empty where all are free and in their own order. */
function statesOf(order: string, { chain }: AdmitRequest): readonly BackendState[] {
  if (order === '') return chain.map(({ backend }) => ({ backend, passage: 'free', until: 0 }));
  return order
    .slice(0, -1)
    .split(';')
    .map((link): BackendState => {
      const [index, passage, until] = link.split(',');
      return {
        backend: chain[Number(index) - 1]!.backend,
        passage: passage as BackendState['passage'],
        until: Number(until),
      };
    });
}

function text(value: number | string): string {
  return String(value);
}
