import type { Row } from '../aws/attribute-value';
import type { Key } from '../aws/table-write';
import { workKind } from '../queueing/ids';
import type { ItemRef } from '../queueing/item';

/** Where rows stand in the table, whose key is `pk` and `sk`. One tenant's files and batches are one partition. */
export const keyOf = {
  file: (tenant: string, id: string): Key => ({ pk: `T#${tenant}`, sk: `FILE#${id}` }),
  work: (tenant: string, id: string): Key => ({ pk: `T#${tenant}`, sk: `${workKind(id).toUpperCase()}#${id}` }),
  item: ({ batchId, line }: Pick<ItemRef, 'batchId' | 'line'>): Key => ({ pk: `ITEM#${batchId}#${line}`, sk: '-' }),
  count: (batchId: string, shard: number): Key => ({ pk: `COUNT#${batchId}`, sk: String(shard).padStart(2, '0') }),
  active: (batchId: string): Key => ({ pk: 'ACTIVE', sk: batchId }),
  once: (tenant: string, key: string): Key => ({ pk: `IDEM#${tenant}#${key}`, sk: '-' }),
} as const;

/** A record as the row under its key. */
export function rowOf(key: Key, record: object): Row {
  return { ...key, ...record };
}

/** The record of a row: all but its key. */
export function recordOf<T>({ pk: _, sk: __, ...record }: Row): T {
  return record as T;
}

/** What the sort keys of a tenant's list begin with. */
export function listPrefix(kind: 'file' | 'batch' | 'job'): string {
  return `${kind.toUpperCase()}#`;
}
