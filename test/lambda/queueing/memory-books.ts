import type { BatchRecord, ItemCounts } from '../../../lambda/queueing/batch-record';
import {
  type BatchBooks,
  type ControlQueue,
  type FileBooks,
  resultKey,
  type Shelves,
} from '../../../lambda/queueing/books';
import type { ControlMessage } from '../../../lambda/queueing/control-message';
import type { FileRecord } from '../../../lambda/queueing/file-record';
import type { ItemMessage, ItemQueue, ItemRef, ResultLine, ResultShelf } from '../../../lambda/queueing/item';

/** A function that dies: nothing after this point happens. */
export class Crash extends Error {}

/**
 * Books, shelves and queues in memory. `mayCrash` is asked before and after each call that reaches them: what it throws
 * ends the caller, with the call made or not.
 */
export class Memory {
  public readonly batchRows = new Map<string, BatchRecord>();
  public readonly fileRows = new Map<string, FileRecord>();
  public readonly objects = new Map<string, Buffer>();
  public readonly sent: ItemMessage[] = [];
  public readonly controls: ControlMessage[] = [];
  public readonly counted = new Map<string, ItemCounts>();
  public readonly active = new Set<string>();
  public mayCrash: () => void = () => undefined;
  /** Bytes of a chunk of a read object. */
  public chunkBytes = 1000;

  public readonly batches: BatchBooks = {
    add: (batch) => this.call(() => void this.batchRows.set(batch.id, batch)),
    usedFor: () => Promise.resolve(undefined),
    find: (_, id) => this.call(() => this.batchRows.get(id)),
    list: (tenant) => this.call(() => [...this.batchRows.values()].filter((batch) => batch.tenant === tenant)),
    change: (_, id, step) =>
      this.call(() => {
        const before = this.batchRows.get(id);
        const after = before && step(before);
        if (!after) return undefined;
        const written = { ...after, version: before.version + 1 };
        this.batchRows.set(id, written);
        return written;
      }),
    counts: (id) => this.call(() => this.counted.get(id) ?? { completed: 0, failed: 0, skipped: 0 }),
    watch: (_, id) => this.call(() => void this.active.add(id)),
    unwatch: (id) => this.call(() => void this.active.delete(id)),
    watched: () => this.watching(),
  };

  public readonly files: FileBooks = {
    add: (file) => this.call(() => void this.fileRows.set(file.id, file)),
    find: (_, id) => this.call(() => this.fileRows.get(id)),
    arrived: () => Promise.resolve(),
    list: () => this.call(() => [...this.fileRows.values()]),
    remove: (_, id) => this.call(() => this.fileRows.delete(id)),
  };

  public readonly shelves: Shelves = {
    open: (key, from = 0) =>
      this.call(() => {
        const object = this.objects.get(key);
        return object && { bytes: object.length, etag: etagOf(object), body: this.chunksOf(object.subarray(from)) };
      }),
    head: (key) =>
      this.call(() => {
        const object = this.objects.get(key);
        return object && { bytes: object.length, etag: etagOf(object) };
      }),
    put: (key, body) => this.call(() => void this.objects.set(key, Buffer.from(body))),
    upload: async (key, chunks) => {
      const read: Uint8Array[] = [];
      for await (const chunk of chunks) read.push(chunk);
      return this.call(() => {
        this.objects.set(key, Buffer.concat(read));
        return { bytes: this.objects.get(key)!.length };
      });
    },
    remove: (key) => this.call(() => void this.objects.delete(key)),
    uploadUrl: (key) => Promise.resolve(`put:${key}`),
    downloadUrl: (key) => Promise.resolve(`get:${key}`),
    result: (item) => this.call(() => this.objects.get(resultKey(item))?.toString()),
  };

  public readonly results: ResultShelf = {
    write: (item, result, { replace } = { replace: false }) =>
      this.call(() => {
        if (!replace && this.objects.has(resultKey(item))) return 'present';
        this.objects.set(resultKey(item), Buffer.from(JSON.stringify(result)));
        return 'written';
      }),
    outcome: () => Promise.resolve(undefined),
  };

  public readonly items: ItemQueue = {
    send: (messages) => this.call(() => void this.sent.push(...messages.map(({ message }) => message))),
  };

  public readonly control: ControlQueue = {
    send: (message) => this.call(() => void this.controls.push(message)),
  };

  public resultOf(item: Pick<ItemRef, 'batchId' | 'line'>): ResultLine | undefined {
    const text = this.objects.get(resultKey(item))?.toString();
    return text === undefined ? undefined : (JSON.parse(text) as ResultLine);
  }

  private async call<T>(act: () => T): Promise<T> {
    await Promise.resolve();
    this.mayCrash();
    const result = act();
    this.mayCrash();
    return Promise.resolve(result);
  }

  private async *watching() {
    for (const id of [...this.active]) {
      await Promise.resolve();
      yield { tenant: 'acme', id };
    }
  }

  private async *chunksOf(object: Buffer): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < object.length; at += this.chunkBytes) {
      await Promise.resolve();
      yield object.subarray(at, at + this.chunkBytes);
    }
  }
}

export function etagOf(object: Buffer): string {
  return `"${object.length}-${object.reduce((sum, byte) => (sum * 31 + byte) % 1_000_003, 7)}"`;
}
