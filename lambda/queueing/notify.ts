import type { ControlQueue } from './books';
import type { NotifyMessage } from './control-message';
import { nextCallIn, webhookHeaders, webhookSecret } from './webhook';

/** The longest delay of a queue's message, in seconds. */
const MOST_DELAY = 900;

/** Everything that telling a tenant needs from outside. */
export interface NotifyPorts {
  /** Address of the tenant, from the policy; undefined for one that has none, or none any more. */
  readonly addressOf: (tenant: string) => string | undefined;
  /** The secret from which those of the tenants are made. */
  readonly master: () => Promise<string>;
  /** Calls an address; gives the status of the answer, and throws where there is none. */
  readonly call: (address: string, headers: Readonly<Record<string, string>>, body: string) => Promise<number>;
  readonly control: ControlQueue;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

/** How a call ended: taken, to be tried again, given up after a day, not due yet, or nobody is to be called. */
export interface Notified {
  readonly kind: 'taken' | 'again' | 'given up' | 'waiting' | 'nobody';
  /** What the address answered, or why it did not. */
  readonly answer?: string;
}

/** Calls a tenant's address, once it is time; after a failure, once more later. */
export async function notify(message: NotifyMessage, ports: NotifyPorts): Promise<Notified> {
  const { tenant, event, attempt, due } = message;
  const address = ports.addressOf(tenant);
  if (address === undefined) return { kind: 'nobody' };
  const waitMs = due - ports.nowMs();
  if (waitMs > 0) {
    await ports.control.send(message, delayFor(waitMs));
    return { kind: 'waiting' };
  }
  const secret = webhookSecret(await ports.master(), tenant);
  const body = JSON.stringify(event);
  const now = Math.floor(ports.nowMs() / 1000);
  const answer = await ports.call(address, webhookHeaders(event.id, body, secret, now), body).then(
    (status) => (status >= 200 && status < 300 ? undefined : `status ${status}`),
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  if (answer === undefined) return { kind: 'taken' };
  const delay = nextCallIn(attempt + 1, now - event.created_at);
  if (delay === undefined) return { kind: 'given up', answer };
  const dueNext = ports.nowMs() + delay * 1000;
  await ports.control.send({ ...message, attempt: attempt + 1, due: dueNext }, delayFor(delay * 1000));
  return { kind: 'again', answer };
}

function delayFor(ms: number): number {
  return Math.min(MOST_DELAY, Math.ceil(ms / 1000));
}
