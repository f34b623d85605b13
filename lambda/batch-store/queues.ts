import type { Queue } from '../aws/queue';
import type { ControlQueue } from '../queueing/books';
import type { ControlMessage } from '../queueing/control-message';
import type { DeadLetters, ItemMessage, ItemQueue } from '../queueing/item';

/** Name of the message attribute that says why a message is among the dead letters. */
export const REASON_ATTRIBUTE = 'reason';

/** The queue of items. Each tenant's are a group of their own, between which a fair queue divides the workers. */
export function workQueue(queue: Queue): ItemQueue {
  return {
    send: (messages) =>
      queue.send(
        messages.map(({ message, delaySeconds }) => ({
          ...{ body: JSON.stringify(message), group: message.tenant },
          ...(delaySeconds !== undefined && { delaySeconds }),
        })),
      ),
  };
}

/** The queue of what the control function does. */
export function controlQueue(queue: Queue): ControlQueue {
  return {
    send: (message: ControlMessage, delaySeconds?: number) =>
      queue.send([{ body: JSON.stringify(message), ...(delaySeconds !== undefined && { delaySeconds }) }]),
  };
}

/** The dead letters. Text that is no message has nobody's group. */
export function deadLetterQueue(queue: Queue): DeadLetters {
  return {
    send: (message: ItemMessage | { readonly text: string }, reason: string) =>
      queue.send([
        {
          ...('text' in message ? { body: message.text } : { body: JSON.stringify(message), group: message.tenant }),
          attributes: { [REASON_ATTRIBUTE]: reason },
        },
      ]),
  };
}
