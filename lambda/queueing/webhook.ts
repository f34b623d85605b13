import { createHmac } from 'node:crypto';
import type { BatchRecord } from './batch-record';
import { workKind } from './ids';

/** What a tenant is told, in the shape of OpenAI's events. */
export interface WebhookEvent {
  readonly id: string;
  readonly object: 'event';
  readonly type: string;
  /** Seconds since 1970. */
  readonly created_at: number;
  readonly data: { readonly id: string };
}

/** Seconds from one call to the next; then, until the day is over, the last again and again. */
const DELAYS = [5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600];

/** For so long after the event a tenant is called, in seconds. */
export const TOLD_WITHIN_SECONDS = 86_400;

/** The event of a batch or a job that has ended. The same end has the same id, by which a receiver knows a repetition. */
export function endEvent({ id, status, endedAt }: Pick<BatchRecord, 'id' | 'status' | 'endedAt'>): WebhookEvent {
  return {
    id: `evt_${id}`,
    object: 'event',
    type: `${workKind(id)}.${status}`,
    created_at: endedAt ?? 0,
    data: { id },
  };
}

/** The secret by which a tenant checks signatures: what no other tenant's secret tells, and nothing has to be kept for. */
export function webhookSecret(master: string, tenant: string): string {
  return `whsec_${createHmac('sha256', master).update(tenant).digest('base64')}`;
}

/**
 * The headers of a call, signed as Standard Webhooks has it.
 *
 * @param secret of the tenant, `whsec_…`
 * @param now seconds since 1970
 */
export function webhookHeaders(id: string, body: string, secret: string, now: number): Record<string, string> {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${now}.${body}`).digest('base64');
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(now),
    'webhook-signature': `v1,${signature}`,
  };
}

/**
 * Seconds until the next call after one that failed; undefined where the day is over.
 *
 * @param attempt calls so far, at least 1
 * @param age seconds since the event
 */
export function nextCallIn(attempt: number, age: number): number | undefined {
  const delay = DELAYS[Math.min(attempt, DELAYS.length) - 1] ?? 0;
  return age + delay > TOLD_WITHIN_SECONDS ? undefined : delay;
}
