import type { ClientConnection } from '../../gateway/client-connection';
import type { HttpEvent } from '../../gateway/http-event';
import type { RequestRecord } from '../../observability/request-record';
import type { Timer } from '../../fault-tolerance/hedge';
import type { DeadLetters, ItemDesk, ItemQueue, ResultShelf } from '../item';

/** What a worker needs from outside. */
export interface WorkerPorts {
  readonly desk: ItemDesk;
  readonly shelf: ResultShelf;
  readonly queue: ItemQueue;
  readonly deadLetters: DeadLetters;
  /** Reads a part of an input; undefined where the object is gone. */
  readonly read: (input: string, offset: number, length: number) => Promise<Uint8Array | undefined>;
  /** The gateway, at the priority of background work. */
  readonly serve: (event: HttpEvent, client: ClientConnection) => Promise<RequestRecord>;
  /** The longest that a request of a model may take, in milliseconds. */
  readonly longestMs: (model: string) => number;
  /** Items in progress at the same time in one invocation. */
  readonly itemsAtOnce: number;
  /** How often an item is begun whose workers die at it. */
  readonly maxAttempts: number;
  /** Tells of a fault of ours at an item. */
  readonly onFault: (error: unknown, item: { readonly batchId: string; readonly line: number }) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly pause: (ms: number) => Promise<void>;
  readonly timer: Timer;
  /** A new id: letters, digits and hyphens. */
  readonly newId: () => string;
}

/** A message of the work queue. */
export interface WorkMessage {
  readonly id: string;
  readonly text: string;
}
