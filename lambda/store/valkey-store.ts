import { type ResolvedBackend, resolveCache } from '../../lib/policy/defaults';
import { type BreakerStatus, type Claim, LETTER } from '../circuit-breaking/breaker';
import { type BodyLimits, decodeBody, encodeBody } from '../caching/encoding';
import type { StoredEntry } from '../caching/entry';
import {
  type Admission,
  type AdmitRequest,
  type BreakerView,
  type CallOutcome,
  type RequestStore,
  type Settlement,
  StoreLost,
  type Transition,
} from '../gateway/request-store';
import { KEPT_MS } from '../gateway/idempotency';
import { chargesOf } from '../rate-limiting/charges';
import type { Command } from './connection';
import { SCRIPTS } from './scripts';

/** Sends commands in one trip; fails with StoreLost. */
export type Trip = (commands: readonly Command[]) => Promise<unknown[]>;

/** A breaker that no call has touched for a day starts afresh. */
const BREAKER_LIFE_MS = 86_400_000;

/** Commands that wait for the store to answer again. What goes beyond is left to the ends of its leases. */
const MOST_OWED = 100;

/** The books in the shared store. Every limit, breaker and entry is changed by scripts only, on the store's clock. */
export class ValkeyStore implements RequestStore {
  private answers = true;
  private owed: Command[] = [];

  /**
   * @param trip sends commands
   * @param bodies how answers are stored, by default as a policy without settings of its own has it
   */
  constructor(
    private readonly trip: Trip,
    private readonly bodies: BodyLimits = resolveCache({}),
  ) {}

  /** {@inheritDoc RequestStore.admit} */
  public async admit(request: AdmitRequest): Promise<Admission> {
    const { cache, plan, backends, idempotency } = request;
    const charges = chargesOf(plan, request.tokens);
    const reads = cache && (cache.freshMs > 0 || cache.staleAllowed);
    const commands: Command[] = [
      {
        script: SCRIPTS.admit,
        keys: [...tenantKeys(request.tenant), ...(reads ? [cache.key] : []), ...(idempotency ? [idempotency.key] : [])],
        args: [
          request.id,
          String(plan.parallelRequests),
          String(request.leaseMs),
          String(cache?.freshMs ?? 0),
          cache?.onlyIfCached ? '1' : '0',
          idempotency?.digest ?? '',
          ...charges.flatMap((charge) => [
            charge.limit,
            String(charge.cost * charge.emissionMs),
            String(charge.burstMs),
          ]),
        ],
      },
      ...backends.map((name): Command => ({ read: 'hmget', key: breakerKey(name), fields: ['status', 'until'] })),
    ];
    const notRun = settleCommand({ admitted: request, tokenDifference: -request.tokens }, { onlyIfHeld: true });
    const [admitted, ...views] = await this.send(commands, [notRun]);
    const [verdict, now, refusedBy, retryAfterMs, arrivals, storedAt, contentType, servedBy, body] =
      admitted as string[] as [Admission['verdict'], ...AdmitReply];
    const at = Number(now);
    const stored = verdict === 'hit' ? decodeBody(body, this.bodies) : undefined;
    if (verdict === 'hit' && stored === undefined) return this.admit(withoutReading(request));
    return {
      verdict,
      now: at,
      limits: arrivals.split(',').map((arrival, i) => ({ charge: charges[i]!, arrival: Number(arrival) })),
      ...(refusedBy !== '' && { refusedBy: refusedBy as NonNullable<Admission['refusedBy']> }),
      retryAfterMs: Number(retryAfterMs),
      ...(stored !== undefined && {
        entry: { contentType, servedBy, body: stored, ageMs: Math.max(0, at - Number(storedAt)) },
      }),
      stale: verdict !== 'hit' && storedAt !== '' && cache?.staleAllowed === true,
      breakers: Object.fromEntries(backends.map((name, i) => [name, viewOf(views[i] as (string | null)[])])),
    };
  }

  /** {@inheritDoc RequestStore.claim} */
  public async claim(
    backend: ResolvedBackend,
    probe: { readonly id: string; readonly leaseMs: number },
  ): Promise<Claim> {
    const args = [probe.id, String(probe.leaseMs), String(backend.breaker.halfOpenProbes), String(BREAKER_LIFE_MS)];
    const commands = [{ script: SCRIPTS.claim, keys: [breakerKey(backend.name)], args }];
    const notUsed = recordCommand({ backend, id: probe.id, probe: true, outcome: 'ignored' });
    const [reply] = await this.send(commands, [notUsed]);
    return (reply as [Claim])[0];
  }

  /** {@inheritDoc RequestStore.readStale} */
  public async readStale(key: string, now: number): Promise<StoredEntry | undefined> {
    const [reply] = await this.trip([{ read: 'hmget', key, fields: ['at', 'type', 'by', 'body'] }]);
    const [at, contentType, servedBy, stored] = reply as (string | null)[];
    const body = stored == null ? undefined : decodeBody(stored, this.bodies);
    if (!at || !contentType || !servedBy || body === undefined) return undefined;
    return { contentType, servedBy, body, ageMs: Math.max(0, now - Number(at)) };
  }

  /** {@inheritDoc RequestStore.settle} */
  public async settle(settlement: Settlement): Promise<readonly Transition[]> {
    const recorded = settlement.outcomes.filter(({ outcome, probe }) => outcome !== 'ignored' || probe);
    // Outside of a probe, an ignored outcome changes nothing, and is not worth a command.
    const { admitted, tokenDifference } = settlement;
    const late = [
      settleCommand({ admitted, tokenDifference }, { onlyIfHeld: true }),
      ...recorded.filter(({ probe }) => probe).map(recordCommand),
    ];
    const commands = [settleCommand(this.encoded(settlement)), ...recorded.map(recordCommand)];
    const [, ...changes] = await this.send(commands, late, late);
    return recorded.flatMap(({ backend }, i) => {
      const [from, to] = changes[i] as [BreakerStatus, BreakerStatus];
      return from === to ? [] : [{ backend: backend.name, from, to }];
    });
  }

  /** The same with the answer in the form in which it is stored, where it is. */
  private encoded(settlement: Settlement): Settlement {
    const { admitted, entry } = settlement;
    if (!entry || !(admitted.cache?.retainMs !== undefined || admitted.idempotency)) return settlement;
    return { ...settlement, entry: { ...entry, body: encodeBody(entry.body, this.bodies) } };
  }

  /**
   * Sends commands, and before them what is owed from a time when the store did not answer.
   *
   * @param owing what makes good if these are not answered. A store that stalls runs all the same what it was sent, and
   * one that was cut off has not heard of an end: slots and permits would be held until their leases end, minutes later.
   * Sent twice it must do no harm.
   * @param owingIfUnsent the same where they were not even sent
   */
  private async send(
    commands: readonly Command[],
    owing: readonly Command[],
    owingIfUnsent: readonly Command[] = [],
  ): Promise<unknown[]> {
    // Not before the store answers again: a store that stalls would be given the same over and over.
    const owed = this.answers ? this.owed.splice(0) : [];
    try {
      const replies = await this.trip([...owed, ...commands]);
      this.answers = true;
      return replies.slice(owed.length);
    } catch (error) {
      this.answers = false;
      const isUnsent = error instanceof StoreLost && error.unsent;
      this.owed = [...owed, ...this.owed, ...(isUnsent ? owingIfUnsent : owing)].slice(0, MOST_OWED);
      throw error;
    }
  }
}

/** The same request, which takes nothing that is stored: for when what it found cannot be read. */
function withoutReading({ idempotency: _, cache, ...request }: AdmitRequest): AdmitRequest {
  return { ...request, ...(cache && { cache: { ...cache, freshMs: 0, staleAllowed: false } }) };
}

type AdmitReply = [string, string, string, string, string, string, string, string];

/** Settles a request; `onlyIfHeld` where it may be settled already, or was never admitted. */
function settleCommand(
  { admitted, tokenDifference, entry }: Omit<Settlement, 'outcomes'>,
  { onlyIfHeld } = { onlyIfHeld: false },
): Command {
  const { cache, idempotency } = admitted;
  const stores = entry && cache?.retainMs !== undefined;
  const [, ...tokenLimits] = chargesOf(admitted.plan, 0);
  return {
    script: SCRIPTS.settle,
    keys: [...tenantKeys(admitted.tenant), ...(stores ? [cache.key] : []), ...(idempotency ? [idempotency.key] : [])],
    args: [
      admitted.id,
      String(admitted.leaseMs),
      stores ? String(cache.retainMs) : '',
      // The answer travels only where it is kept.
      ...(entry && (stores || idempotency) ? [entry.contentType, entry.servedBy, entry.body] : ['', '', '']),
      onlyIfHeld ? '1' : '0',
      idempotency ? String(entry ? KEPT_MS : 0) : '',
      ...(tokenDifference === 0
        ? []
        : tokenLimits.flatMap(({ limit, emissionMs }) => [limit, String(tokenDifference * emissionMs)])),
    ],
  };
}

function recordCommand({ backend, id, outcome }: CallOutcome): Command {
  const rules = backend.breaker;
  const args = [
    id,
    LETTER[outcome],
    ...[rules.window.size, rules.minimumCalls, rules.failureRate, rules.slowRate, rules.openMs].map(String),
    String(rules.halfOpenProbes),
    String(Math.max(BREAKER_LIFE_MS, rules.openMs * 2)),
  ];
  return { script: SCRIPTS.record, keys: [breakerKey(backend.name)], args };
}

function viewOf([status, until]: (string | null)[]): BreakerView {
  return { status: (status as BreakerStatus | null | undefined) ?? 'closed', openUntil: Number(until ?? 0) };
}

/** A tenant's keys share one slot of a cluster, so that one script may touch them all. */
function tenantKeys(tenant: string): [string, string] {
  return [`{${tenant}}:limits`, `{${tenant}}:parallel`];
}

function breakerKey(backend: string): string {
  return `breaker:{${backend}}`;
}
