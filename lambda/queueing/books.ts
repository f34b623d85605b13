import type { BatchRecord, ItemCounts } from './batch-record';
import type { ControlMessage } from './control-message';
import type { FileRecord } from './file-record';
import type { ItemRef } from './item';

/** A request that is to be carried out once, however often it is sent. */
export interface Once {
  /** SHA-256 of the client's key, in hex. */
  readonly key: string;
  /** Tells one request from another under the same key. */
  readonly digest: string;
}

/** What stands under a key that was used before: the id of what that request made. */
export interface UsedBefore {
  readonly digest: string;
  readonly id: string;
}

/** Which part of a list is wanted. */
export interface Page {
  /** The most entries. */
  readonly limit: number;
  /** The id before which the part ends or after which it begins, in the order of the list. */
  readonly after?: string;
  readonly newestFirst: boolean;
}

/** The books of files. Another tenant's file is not in one's books. */
export interface FileBooks {
  /** Adds a file, unless `once` was used before. */
  add(file: FileRecord, once?: Once): Promise<UsedBefore | undefined>;
  find(tenant: string, id: string): Promise<FileRecord | undefined>;
  /** Notes that an awaited file is there. */
  arrived(file: FileRecord): Promise<void>;
  list(tenant: string, page: Page): Promise<readonly FileRecord[]>;
  /** Forgets a file; false where there is none. */
  remove(tenant: string, id: string): Promise<boolean>;
}

/** The books of batches and jobs; which of the two an id is of, its beginning tells. */
export interface BatchBooks {
  /** Adds a batch, and has the sweeper look after it, unless `once` was used before. */
  add(batch: BatchRecord, once?: Once): Promise<UsedBefore | undefined>;
  /** What a key was used for, if it was. */
  usedFor(tenant: string, key: string): Promise<UsedBefore | undefined>;
  find(tenant: string, id: string): Promise<BatchRecord | undefined>;
  list(tenant: string, kind: 'batch' | 'job', page: Page): Promise<readonly BatchRecord[]>;
  /**
   * Changes a batch: reads it, and writes what `step` makes of it unless it was changed meanwhile; then once more.
   *
   * @param step gives undefined where nothing is to be changed; what it throws is thrown
   * @returns what was written, or undefined where nothing was, or there is no such batch
   */
  change(
    tenant: string,
    id: string,
    step: (batch: BatchRecord) => BatchRecord | undefined,
  ): Promise<BatchRecord | undefined>;
  /** How the items that were sent to workers have ended so far. */
  counts(id: string): Promise<ItemCounts>;
  /** Has the sweeper look after a batch. */
  watch(tenant: string, id: string): Promise<void>;
  /** The sweeper need not look after a batch any more. */
  unwatch(id: string): Promise<void>;
  /** All that the sweeper looks after. */
  watched(): AsyncIterable<{ readonly tenant: string; readonly id: string }>;
}

/** An object in the bucket. */
export interface StoredObject {
  readonly bytes: number;
  readonly etag: string;
}

/** The bucket of inputs and results. */
export interface Shelves {
  /** An object from a byte on; undefined where there is none. */
  open(key: string, from?: number): Promise<(StoredObject & { readonly body: AsyncIterable<Uint8Array> }) | undefined>;
  head(key: string): Promise<StoredObject | undefined>;
  put(key: string, body: Uint8Array | string, contentType: string): Promise<void>;
  /** Writes an object of any size, which is there when the last chunk is, or not at all. */
  upload(key: string, chunks: AsyncIterable<Uint8Array>): Promise<{ readonly bytes: number }>;
  remove(key: string): Promise<void>;
  /** An address to which whoever has it may PUT so many bytes. */
  uploadUrl(key: string, bytes: number): Promise<string>;
  /** An address from which whoever has it may GET the object, as a file of that name. */
  downloadUrl(key: string, filename: string): Promise<string>;
  /** The text of an item's result; undefined where it has none. */
  result(item: ItemRef): Promise<string | undefined>;
}

/** The queue of what the control function does. */
export interface ControlQueue {
  send(message: ControlMessage, delaySeconds?: number): Promise<void>;
}

/** Where an item's result stands in the bucket. */
export function resultKey({ batchId, line }: Pick<ItemRef, 'batchId' | 'line'>): string {
  return `items/${batchId}/${line}.json`;
}
