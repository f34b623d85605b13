import type { SCAN_RULE } from './file-scan';

/** A record of JSON: what stages take and give. */
export type DataRecord = Record<string, unknown>;

/** A field of a record; undefined where the record has none, also of a name such as `constructor` that any object knows. */
export function fieldOf(record: DataRecord, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Where a record stands in the input. */
export interface Place {
  readonly file: string;
  /** First byte of the record in the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** What was read at a place: a record, or why there is none. */
export type SourceRecord =
  { readonly place: Place; readonly record: DataRecord } | { readonly place: Place; readonly fault: ReadingFault };

/** Why what stands at a place is no record. */
export class ReadingFault {
  constructor(
    public readonly rule: 'encoding' | 'json' | 'number' | 'csv' | 'size' | 'empty' | 'depth' | typeof SCAN_RULE,
    public readonly reason: string,
  ) {}
}

/** Values nest no deeper, so that no record exhausts a stack further on. */
export const MOST_LEVELS = 64;
