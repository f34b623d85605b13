/**
 * One request of a batch, or a single job, on its way through the queue. The message holds no text of the client: it says
 * where the line stands in the input, so that it stays small however large the request is.
 */
export interface ItemMessage {
  /** Layout of the message. */
  readonly v: 1;
  readonly tenant: string;
  /** Name of the plan that the tenant had when it sent the work. */
  readonly plan: string;
  /** Id of the batch, or of the job. */
  readonly batchId: string;
  /** Line in the input, from 1. A job has one. */
  readonly line: number;
  /** Key of the input object. */
  readonly input: string;
  /** Where the line begins in it, in bytes. */
  readonly offset: number;
  /** Bytes of the line, without its line break. */
  readonly length: number;
  /** Times that it was given back since no capacity was left for it, or every backend failed at it. */
  readonly deferrals?: number;
  /** Those of them at which backends failed, or the worker itself. */
  readonly failures?: number;
  /** Set where an operator took it from the dead letters. */
  readonly redriven?: true;
}

/** The item that a message stands for, however often it is delivered. */
export type ItemRef = Pick<ItemMessage, 'tenant' | 'batchId' | 'line'>;

/** How an item ended: with an answer of status 200, with an error, or not at all since its batch was ended first. */
export type ItemOutcome = 'completed' | 'failed' | 'skipped';

/** One line of the output or error file, as the OpenAI clients read it; also what is stored as an item's result. */
export interface ResultLine {
  /** Id of the result, `batch_req_…`. */
  readonly id: string;
  readonly custom_id: string | null;
  readonly response: {
    readonly status_code: number;
    readonly request_id: string;
    readonly body: unknown;
  } | null;
  readonly error: {
    readonly code: string;
    readonly message: string;
    /** Line in the input, from 1. */
    readonly line: number;
    readonly param?: string;
  } | null;
}

/** What a claim says. */
export type Claim =
  /** The item is this worker's until its lease ends; `attempts` counts the claims so far, this one too, that were not released. */
  | { readonly kind: 'claimed'; readonly attempts: number }
  /** Another worker holds it, until then (milliseconds since 1970). */
  | { readonly kind: 'held'; readonly until: number }
  /** It has its result, and is counted. */
  | { readonly kind: 'done' }
  /** Its batch wants no more results: it is to be finished as `skipped` or, where expired, as `failed` with `batch_expired`. */
  | { readonly kind: 'over'; readonly reason: 'cancelled' | 'expired' }
  /** No such batch, or no longer: the message is dropped. */
  | { readonly kind: 'unknown' };

/** The books of items: who works on which, which are done, and how many. */
export interface ItemDesk {
  /** Claims items, one answer each in their order. A lease makes the item free again when its worker has died. */
  claim(items: readonly ItemMessage[], leaseMs: number): Promise<readonly Claim[]>;
  /** Gives claims back that were not used: as if they had never been made. */
  release(items: readonly ItemRef[]): Promise<void>;
  /**
   * Marks items as done, counts each once however often it is called, and has the batch finalised when the last one is.
   * Comes after the result is written and before the message is deleted.
   */
  finish(items: readonly (ItemRef & { readonly outcome: ItemOutcome })[]): Promise<void>;
  /** Marks an item as dead: finished as `failed`, and free to be claimed by a redriven message. */
  bury(item: ItemRef): Promise<void>;
}

/** Where results stand until they are put together. */
export interface ResultShelf {
  /** Writes an item's result, unless it has one. A redriven item replaces the error that it has. */
  write(item: ItemRef, result: ResultLine, options?: { readonly replace: boolean }): Promise<'written' | 'present'>;
  /** Whether an item has its result, and how that counts. */
  outcome(item: ItemRef): Promise<ItemOutcome | undefined>;
}

/** Where items wait. */
export interface ItemQueue {
  /** Sends messages, in groups of ten by their tenant; settles when all are taken, throws where one is not. */
  send(messages: readonly { readonly message: ItemMessage; readonly delaySeconds?: number }[]): Promise<void>;
}

/** Where messages go that nobody can work on, with the reason as a message attribute. */
export interface DeadLetters {
  send(message: ItemMessage | { readonly text: string }, reason: string): Promise<void>;
}
