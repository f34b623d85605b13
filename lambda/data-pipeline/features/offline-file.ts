import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet';
import { parquetWriteBuffer, type BasicType, type ColumnSource } from 'hyparquet-writer';
import { DAY_COLUMN, KEY_COLUMNS, featuresOf } from '../../../lib/policy/features/columns';
import { type FeatureDefinition, FeatureType } from '../../../lib/policy/features/definition';
import { OFFLINE_PREFIX } from '../../../lib/policy/features/prefixes';
import { dayOf } from '../../../lib/policy/features/training-sql';
import type { FeatureValue, HistoryRow } from './history';

const PARQUET_TYPES: Record<FeatureType, BasicType> = {
  [FeatureType.BOOLEAN]: 'BOOLEAN',
  [FeatureType.INTEGER]: 'INT64',
  [FeatureType.NUMBER]: 'DOUBLE',
  [FeatureType.TEXT]: 'STRING',
};

/** A file of the offline table of an entity: what happened on one day, of what came in with one batch. */
export interface OfflineFile {
  /** Key of the object: the same batch writes the same objects, so that one that is sent again leaves no second copy. */
  readonly key: string;
  readonly body: Uint8Array;
}

/** Puts rows of an entity into Parquet files, one for each day. Columns are found by name: a file lacks what came later. */
export function offlineFiles(
  definition: FeatureDefinition,
  entity: string,
  rows: readonly HistoryRow[],
  batch: string,
): OfflineFile[] {
  const days = new Map<string, HistoryRow[]>();
  for (const row of rows) {
    const day = dayOf(row.eventMs);
    const ofDay = days.get(day);
    if (ofDay) ofDay.push(row);
    else days.set(day, [row]);
  }
  return [...days].map(([day, ofDay]) => ({
    key: `${dayPrefix(entity, day)}${batch}.parquet`,
    body: new Uint8Array(parquetWriteBuffer({ columnData: columnsOf(definition, entity, ofDay) })),
  }));
}

/** Where the files of one day lie: what the table's partition projection says, too. */
export function dayPrefix(entity: string, day: string): string {
  return `${OFFLINE_PREFIX}${entity}/${DAY_COLUMN}=${day}/`;
}

function columnsOf(definition: FeatureDefinition, entity: string, rows: readonly HistoryRow[]): ColumnSource[] {
  const { key, event, ingested, id, source } = KEY_COLUMNS;
  const column = (name: string, type: BasicType, data: unknown[]): ColumnSource => ({
    name,
    type,
    data,
    nullable: false,
  });
  return [
    column(
      key,
      'STRING',
      rows.map((row) => row.key),
    ),
    column(
      event,
      'INT64',
      rows.map(({ eventMs }) => BigInt(eventMs)),
    ),
    column(
      ingested,
      'INT64',
      rows.map(({ ingestedMs }) => BigInt(ingestedMs)),
    ),
    column(
      id,
      'STRING',
      rows.map(({ ingestId }) => ingestId),
    ),
    column(
      source,
      'STRING',
      rows.map(({ sourceVersion }) => sourceVersion),
    ),
    ...featuresOf(definition, entity).map(({ name, type }): ColumnSource => ({
      name,
      type: PARQUET_TYPES[type],
      data: rows.map(({ values }) => stored(type, Object.hasOwn(values, name) ? values[name] : undefined)),
    })),
  ];
}

function stored(type: FeatureType, value: HistoryRow['values'][string]): unknown {
  if (value == null) return null;
  return type === FeatureType.INTEGER ? BigInt(value) : value;
}

/**
 * Reads rows of a file back.
 *
 * @param features names of the features that are wanted; one that the file is older than is in no row
 */
export async function offlineRows(body: Uint8Array, features: readonly string[]): Promise<HistoryRow[]> {
  const file = body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength) as ArrayBuffer;
  const { key, event, ingested, id, source } = KEY_COLUMNS;
  const present = parquetSchema(parquetMetadata(file)).children.map(({ element }) => element.name);
  const wanted = features.filter((name) => present.includes(name));
  const rows = await parquetReadObjects({ file, columns: [...Object.values(KEY_COLUMNS), ...wanted] });
  return rows.map((row) => ({
    key: row[key] as string,
    eventMs: Number(row[event]),
    ingestedMs: Number(row[ingested]),
    ingestId: row[id] as string,
    sourceVersion: row[source] as string,
    values: Object.fromEntries(
      wanted.map((name) => {
        const value = row[name] as FeatureValue | bigint | null | undefined;
        return [name, typeof value === 'bigint' ? Number(value) : value];
      }),
    ),
  }));
}
