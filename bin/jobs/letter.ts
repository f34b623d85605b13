import { isRecord } from '../../lambda/gateway/http-event';
import type { ReceivedMessage } from '../../lambda/aws/queue';
import type { ItemMessage } from '../../lambda/queueing/item';
import { itemMessageIn } from '../../lambda/queueing/worker/item-message';

/** A dead letter. */
export interface Letter {
  readonly receipt: string;
  readonly text: string;
  /** Undefined for a text that no worker can read. */
  readonly item?: ItemMessage;
  readonly tenant: string;
  readonly batch: string;
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly sentAt: number;
}

/** Which dead letters are meant; what is left out, any. */
export interface LetterFilter {
  readonly tenant?: string;
  readonly batch?: string;
  readonly reason?: string;
  /** Milliseconds since it was sent. */
  readonly olderThanMs?: number;
}

/** The reason of a message that the queue itself set aside, since it was delivered too often. */
export const UNDELIVERABLE = 'received_too_often';

/** The reason of a text that no worker can read. */
export const UNREADABLE = 'unreadable';

/** What a message of the dead letters is. */
export function letterOf({ receipt, body, sentAt, attributes }: ReceivedMessage): Letter {
  const item = itemMessageIn(body);
  const reason = attributes.reason ?? (item ? UNDELIVERABLE : UNREADABLE);
  return {
    ...{ receipt, text: body, reason, sentAt, tenant: item?.tenant ?? '-', batch: item?.batchId ?? '-' },
    ...(item && { item }),
  };
}

/** Whether a dead letter is meant. One that no worker can read is so only where that is asked for. */
export function isMeant(letter: Letter, { tenant, batch, reason, olderThanMs }: LetterFilter, now: number): boolean {
  return (
    (tenant === undefined || letter.tenant === tenant) &&
    (batch === undefined || letter.batch === batch) &&
    (reason === undefined ? letter.item !== undefined : letter.reason === reason) &&
    (olderThanMs === undefined || now - letter.sentAt >= olderThanMs)
  );
}

/** The message by which a dead letter is worked on again: with all its tries, and as one whose error may be replaced. */
export function redriven({ item, text }: Letter): { readonly body: string; readonly group?: string } {
  if (!item) return { body: text };
  const { deferrals: _, failures: __, ...fresh } = item;
  return { body: JSON.stringify({ ...fresh, redriven: true }), group: item.tenant };
}

/** The URL of the queue that a queue hands its dead letters to, by the attribute that says so; undefined without one. */
export function deadLetterArn(redrivePolicy: string | undefined): string | undefined {
  const policy: unknown = JSON.parse(redrivePolicy ?? 'null');
  return isRecord(policy) && typeof policy.deadLetterTargetArn === 'string' ? policy.deadLetterTargetArn : undefined;
}
