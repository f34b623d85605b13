import type { Row } from '../aws/attribute-value';
import type { Table } from '../aws/table';
import type { Page } from '../queueing/books';
import { listPrefix } from './rows';

/** Sorts behind every character of an id. */
const LAST = '~';

/** A part of a tenant's files, batches or jobs: their ids sort by time, so that the table's own order is the list's. */
export async function tenantList(
  table: Table,
  tenant: string,
  kind: 'file' | 'batch' | 'job',
  { limit, after, newestFirst }: Page,
): Promise<readonly Row[]> {
  const prefix = listPrefix(kind);
  const [from, to] = newestFirst
    ? [prefix, `${prefix}${after ?? LAST}`]
    : [`${prefix}${after ?? ''}`, `${prefix}${LAST}`];
  const rows: Row[] = [];
  const query = { partition: { pk: `T#${tenant}` }, sort: { name: 'sk', from, to }, descending: newestFirst };
  // The ends of a range are part of it, and the entry after which a part begins is not.
  for await (const row of table.query({ ...query, consistent: true, limit: limit + 1 })) {
    if (after !== undefined && row.sk === `${prefix}${after}`) continue;
    rows.push(row);
    if (rows.length === limit) break;
  }
  return rows;
}
