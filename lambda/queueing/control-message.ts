import { isRecord } from '../gateway/http-event';
import type { WebhookEvent } from './webhook';

/** What the control function is asked to do. */
export type ControlMessage =
  /** Cut the input of a batch into items, from where that stopped. */
  | { readonly v: 1; readonly kind: 'split'; readonly tenant: string; readonly batchId: string }
  /** Put its results together, from where that stopped. */
  | { readonly v: 1; readonly kind: 'finalise'; readonly tenant: string; readonly batchId: string }
  /** Tell the tenant that it has ended. */
  | NotifyMessage;

/** A call of a tenant's address that is due. */
export interface NotifyMessage {
  readonly v: 1;
  readonly kind: 'notify';
  readonly tenant: string;
  readonly batchId: string;
  readonly event: WebhookEvent;
  /** Calls before. */
  readonly attempt: number;
  /** Not before then, in milliseconds since 1970. */
  readonly due: number;
}

/**
 * Reads a message of the control queue.
 *
 * @throws for what is none; such a message ends in the queue's dead letters
 */
export function parseControlMessage(text: string): ControlMessage {
  const message: unknown = JSON.parse(text);
  if (!isRecord(message) || message.v !== 1 || typeof message.tenant !== 'string') throw notOne(text);
  if (typeof message.batchId !== 'string') throw notOne(text);
  const { kind } = message;
  if (kind !== 'split' && kind !== 'finalise' && kind !== 'notify') throw notOne(text);
  if (kind === 'notify' && !(isRecord(message.event) && typeof message.due === 'number')) throw notOne(text);
  return message as unknown as ControlMessage;
}

function notOne(text: string): Error {
  return new Error(`not a control message: ${text.slice(0, 200)}`);
}
