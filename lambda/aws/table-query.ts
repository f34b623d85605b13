import { toAttributes } from './attribute-value';
import { type Condition, ExpressionParts } from './condition';
import type { Key } from './table-write';

/** Rows of one partition, in the order of their sort keys. */
export interface TableQuery {
  /** Name and value of the partition key. */
  readonly partition: Key;
  /** What holds of the sort key; `from` and `to` are part of the range. @default - all rows of the partition */
  readonly sort?:
    | { readonly name: string; readonly beginsWith: string }
    | { readonly name: string; readonly from?: string | number; readonly to?: string | number };
  /** Rows that are read and not given. They count towards the limit. */
  readonly filter?: Condition;
  /** Attributes that are given. @default - all */
  readonly attributes?: readonly string[];
  /** @default false */
  readonly descending?: boolean;
  /** Sees every write that was acknowledged before. @default false */
  readonly consistent?: boolean;
  /** Most rows of a page. @default - up to 1 MiB of rows */
  readonly limit?: number;
  /** Key of the row after which a page begins, as the page before it says. */
  readonly startAfter?: Key;
}

/** Some rows of a query. */
export interface RowPage<T> {
  readonly rows: readonly T[];
  /** Where the next page begins; undefined where there is none. */
  readonly next?: Key;
}

/** The fields of a query, without the table. */
export function queryFields(query: TableQuery): object {
  const parts = new ExpressionParts();
  const keys = Object.entries(query.partition).map(([name, value]) => `${parts.name(name)} = ${parts.value(value)}`);
  const { sort, filter, attributes, descending, consistent, limit, startAfter } = query;
  const filterExpression = filter?.(parts);
  const projection = attributes?.map((name) => parts.name(name)).join(', ');
  return {
    KeyConditionExpression: [...keys, ...(sort ? sortExpressions(sort, parts) : [])].join(' AND '),
    ...(filterExpression !== undefined && { FilterExpression: filterExpression }),
    ...(projection !== undefined && { ProjectionExpression: projection }),
    ...(descending !== undefined && { ScanIndexForward: !descending }),
    ...(consistent !== undefined && { ConsistentRead: consistent }),
    ...(limit !== undefined && { Limit: limit }),
    ...(startAfter && { ExclusiveStartKey: toAttributes(startAfter) }),
    ...parts.fields,
  };
}

function sortExpressions(sort: NonNullable<TableQuery['sort']>, parts: ExpressionParts): string[] {
  const name = parts.name(sort.name);
  if ('beginsWith' in sort) return [`begins_with(${name}, ${parts.value(sort.beginsWith)})`];
  const { from, to } = sort;
  // A key condition may say one thing of the sort key, so a range with two ends has to be a BETWEEN.
  if (from !== undefined && to !== undefined) return [`${name} BETWEEN ${parts.value(from)} AND ${parts.value(to)}`];
  if (from !== undefined) return [`${name} >= ${parts.value(from)}`];
  return to === undefined ? [] : [`${name} <= ${parts.value(to)}`];
}
