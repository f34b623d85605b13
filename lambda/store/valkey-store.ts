import { type ResolvedBackend, resolveCache } from '../../lib/policy/defaults';
import type { BreakerStatus, Claim } from '../circuit-breaking/breaker';
import { type BodyLimits, decodeBody, encodeBody } from '../caching/encoding';
import type { StoredEntry } from '../caching/entry';
import {
  type Admission,
  type AdmitRequest,
  type RequestStore,
  type Settlement,
  StoreLost,
  type Transition,
} from '../gateway/request-store';
import { chargesOf } from '../rate-limiting/charges';
import { admissionOf, admitCommand } from './admission-script';
import type { Command } from './connection';
import { breakerKey } from './keys';
import { SCRIPTS } from './scripts';
import { BREAKER_LIFE_MS, recordedOf, settleCommand, transitionsOf } from './settlement-script';

/** Sends commands in one trip; fails with StoreLost. */
export type Trip = (commands: readonly Command[]) => Promise<unknown[]>;

/** Commands that wait for the store to answer again. What goes beyond is left to the ends of its leases. */
const MOST_OWED = 100;

/** The name of the slot of a request that waits for an identical one, as `admit.lua` gives it. */
const waitingSlot = (id: string) => `${id}-waits`;

/** The books in the shared store. Every limit, breaker and entry is changed by scripts only, on the store's clock. */
export class ValkeyStore implements RequestStore {
  private answers = true;
  private owed: Command[] = [];

  /**
   * @param trip sends commands
   * @param random numbers from 0 up to 1
   * @param bodies how answers are stored, by default as a policy without settings of its own has it
   */
  constructor(
    private readonly trip: Trip,
    private readonly random: () => number,
    private readonly bodies: BodyLimits = resolveCache({}),
  ) {}

  /** {@inheritDoc RequestStore.admit} */
  public async admit(request: AdmitRequest): Promise<Admission> {
    const charges = chargesOf(request, Date.now());
    const [reply] = await this.send([admitCommand(request, charges, this.random)], () => notRun(request));
    const admission = admissionOf(reply, request, charges);
    const { entry, ...rest } = admission;
    if (!entry) return admission;
    const body = decodeBody(entry.body, this.bodies);
    if (body !== undefined) return { ...admission, entry: { ...entry, body } };
    // What cannot be read is as good as not there.
    if (admission.verdict === 'revalidate') return { ...rest, verdict: 'admitted', entryIsStale: false };
    return this.admit(withoutReading(request));
  }

  /** {@inheritDoc RequestStore.claim} */
  public async claim(
    backend: ResolvedBackend,
    admitted: AdmitRequest,
  ): Promise<{ readonly claim: Claim; readonly transition?: Transition }> {
    const { id, leaseMs } = admitted;
    const args = [id, String(leaseMs), String(backend.breaker.halfOpenProbes), String(BREAKER_LIFE_MS)];
    const [reply] = await this.send([{ script: SCRIPTS.claim, keys: [breakerKey(backend.name)], args }], () => [
      settleCommand(
        { admitted, used: admitted, outcomes: [{ backend, id, probe: true, outcome: 'ignored' }] },
        { onlyOutcomes: true },
      ),
    ]);
    const [claim, from, to] = reply as [Claim, BreakerStatus, BreakerStatus];
    return { claim, ...(from !== to && { transition: { backend: backend.name, from, to } }) };
  }

  /** {@inheritDoc RequestStore.isFlying} */
  public async isFlying({ cache }: AdmitRequest): Promise<boolean> {
    const [reply] = await this.trip([{ read: 'hmget', key: cache!.key, fields: ['flight', 'flight_until'] }]);
    const [flight, until] = reply as (string | null)[];
    return flight != null && flight !== '' && Number(until) > Date.now();
  }

  /** {@inheritDoc RequestStore.leave} */
  public async leave(request: AdmitRequest): Promise<void> {
    const leaving = [leaveCommand(request)];
    await this.send(
      leaving,
      () => leaving,
      () => leaving,
    );
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
    const outcomes = recordedOf(settlement.outcomes);
    const late = () => {
      const { entry: _, ...books } = settlement;
      return [settleCommand({ ...books, outcomes: outcomes.filter(({ probe }) => probe) }, { onlyIfHeld: true })];
    };
    const [reply] = await this.send([settleCommand(this.encoded(settlement, outcomes))], late, late);
    return transitionsOf(reply, outcomes);
  }

  /** The same with the outcomes that count, and with the answer in the form in which it is stored, where it is. */
  private encoded(settlement: Settlement, outcomes: Settlement['outcomes']): Settlement {
    const { admitted, used, loadedAt, entry } = settlement;
    const isStored = admitted.cache?.retainMs !== undefined || admitted.idempotency !== undefined;
    if (!entry || !isStored) return { admitted, used, outcomes, ...(loadedAt !== undefined && { loadedAt }) };
    const { contentType, servedBy, body } = entry;
    const stored = { contentType, servedBy, body: encodeBody(body, this.bodies) };
    return { admitted, used, outcomes, entry: stored, ...(loadedAt !== undefined && { loadedAt }) };
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
    owing: () => readonly Command[],
    owingIfUnsent: () => readonly Command[] = () => [],
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
      this.owed = [...owed, ...this.owed, ...(isUnsent ? owingIfUnsent() : owing())].slice(0, MOST_OWED);
      throw error;
    }
  }
}

/** Makes good for an admission whose reply never came: whatever it took is given back. */
function notRun(admitted: AdmitRequest): readonly Command[] {
  const nothing = { inputTokens: 0, outputTokens: 0 };
  const settle = settleCommand({ admitted, used: nothing, outcomes: [] }, { onlyIfHeld: true });
  return admitted.cache?.waits ? [settle, leaveCommand(admitted)] : [settle];
}

/** The same request, which takes nothing that is stored: for when what it found cannot be read. */
function withoutReading({ idempotency: _, cache, ...request }: AdmitRequest): AdmitRequest {
  const nothing = { freshMs: 0, softMs: 0, staleAllowed: false, waits: false };
  return { ...request, ...(cache && { cache: { ...cache, ...nothing } }) };
}

/** Frees the slot of a request that waits. */
function leaveCommand(admitted: AdmitRequest): Command {
  const { idempotency: _, cache: __, ...waiting } = admitted;
  return settleCommand(
    { admitted: { ...waiting, chain: [] }, used: admitted, outcomes: [] },
    { onlyIfHeld: true, slot: waitingSlot(admitted.id) },
  );
}
