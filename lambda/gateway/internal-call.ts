import type { InferencePolicy } from '../../lib/policy/policy';
import type { Timer } from '../fault-tolerance/hedge';
import type { ClientConnection } from './client-connection';
import { CollectedAnswer } from './collected-answer';
import type { HttpEvent } from './http-event';
import type { Priority } from './priority';

/** A request for vectors that a part of the platform makes, in the name of a tenant. */
export interface InternalCall {
  /** Whose limits it counts against. */
  readonly tenant: string;
  readonly priority: Priority;
  /** Body of `/v1/embeddings`. */
  readonly request: Readonly<Record<string, unknown>>;
}

/** What became of it. */
export interface InternalAnswer {
  readonly status: number;
  readonly body: string;
  /** When to come again, where the gateway says so. */
  readonly retryAfterSeconds?: number;
}

/** What the call needs from outside. */
export interface InternalCallPorts {
  readonly tenants: InferencePolicy['tenants'];
  readonly serve: (event: HttpEvent, client: ClientConnection, priority: Priority) => Promise<unknown>;
  /** After this time the call is given up. */
  readonly mostMs: number;
  readonly timer: Timer;
  /** A new id: letters, digits and hyphens. */
  readonly newId: () => string;
}

/**
 * Computes vectors as the gateway does for a client of the tenant: under its limits, behind the backends' breakers, and
 * below the ceiling of background work where the priority says so. Whoever may call this function may name any tenant.
 *
 * @throws where the policy has no such tenant
 */
export async function internalCall(
  { tenant: name, priority, request }: InternalCall,
  { tenants, serve, mostMs, timer, newId }: InternalCallPorts,
): Promise<InternalAnswer> {
  const tenant = tenants.find((candidate) => candidate.name === name);
  if (!tenant) throw new Error(`the policy has no tenant "${name}"`);
  const answer = new CollectedAnswer();
  const event: HttpEvent = {
    httpMethod: 'POST',
    path: '/v1/embeddings',
    headers: null,
    body: JSON.stringify(request),
    isBase64Encoded: false,
    requestContext: { requestId: newId(), authorizer: { tenant: tenant.name, plan: tenant.plan } },
  };
  const stop = timer(mostMs, () => answer.hungUp.abort());
  await serve(event, answer, priority).finally(stop);
  // An answer that was given up has no status.
  if (!answer.started) return { status: 504, body: 'the gateway gave no answer in time' };
  const wait = Number(answer.headers['retry-after'] ?? NaN);
  return {
    status: answer.status,
    body: answer.text(),
    ...(Number.isFinite(wait) && { retryAfterSeconds: wait }),
  };
}
