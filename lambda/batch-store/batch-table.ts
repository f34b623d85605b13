import type { Row } from '../aws/attribute-value';
import { equals } from '../aws/condition';
import { ConditionFailed, type Table } from '../aws/table';
import type { BatchRecord, ItemCounts } from '../queueing/batch-record';
import type { BatchBooks, Once, Page, UsedBefore } from '../queueing/books';
import { usedFor, writeOnce } from './once-row';
import { keyOf, recordOf, rowOf } from './rows';
import { tenantList } from './tenant-list';

/** Few change the same batch at the same time; who loses so often has a fault, and no rival. */
const MOST_TRIES = 20;

/** What is looked after for longer than that has been lost sight of by everybody else, in seconds. */
const WATCHED_SECONDS = 7 * 86_400;

/** The books of batches and jobs in the table. */
export class BatchTable implements BatchBooks {
  /** @param now seconds since 1970 */
  constructor(
    private readonly table: Table,
    private readonly now: () => number,
  ) {}

  public add(batch: BatchRecord, once?: Once): Promise<UsedBefore | undefined> {
    const writes = [
      { put: rowOf(keyOf.work(batch.tenant, batch.id), batch) },
      { put: this.watchRow(batch.tenant, batch.id) },
    ];
    return writeOnce(this.table, writes, batch, once, this.now());
  }

  public usedFor(tenant: string, key: string): Promise<UsedBefore | undefined> {
    return usedFor(this.table, tenant, key, this.now());
  }

  public async find(tenant: string, id: string): Promise<BatchRecord | undefined> {
    // Consistent: an item may be claimed right after its batch was made, and one of no batch is dropped.
    const row = await this.table.get(keyOf.work(tenant, id), { consistent: true });
    return row && recordOf<BatchRecord>(row);
  }

  public async list(tenant: string, kind: 'batch' | 'job', page: Page): Promise<readonly BatchRecord[]> {
    const rows = await tenantList(this.table, tenant, kind, page);
    return rows.map((row) => recordOf<BatchRecord>(row));
  }

  public async change(
    tenant: string,
    id: string,
    step: (batch: BatchRecord) => BatchRecord | undefined,
  ): Promise<BatchRecord | undefined> {
    const key = keyOf.work(tenant, id);
    let row: Row | undefined = await this.table.get(key, { consistent: true });
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      if (!row) return undefined;
      const before = recordOf<BatchRecord>(row);
      const changed = step(before);
      if (!changed) return undefined;
      const after = { ...changed, version: before.version + 1 };
      try {
        await this.table.put(rowOf(key, after), equals('version', before.version));
        return after;
      } catch (error) {
        if (!(error instanceof ConditionFailed)) throw error;
        row = error.row;
      }
    }
    throw new Error(`${id} was changed by others ${MOST_TRIES} times in a row`);
  }

  public async counts(id: string): Promise<ItemCounts> {
    const sums = { completed: 0, failed: 0, skipped: 0 };
    const query = { partition: { pk: `COUNT#${id}` }, consistent: true };
    for await (const row of this.table.query<Partial<ItemCounts> & Row>(query)) {
      sums.completed += row.completed ?? 0;
      sums.failed += row.failed ?? 0;
      sums.skipped += row.skipped ?? 0;
    }
    return sums;
  }

  public async watch(tenant: string, id: string): Promise<void> {
    await this.table.put(this.watchRow(tenant, id));
  }

  public async unwatch(id: string): Promise<void> {
    await this.table.remove(keyOf.active(id));
  }

  public async *watched(): AsyncGenerator<{ readonly tenant: string; readonly id: string }> {
    for await (const row of this.table.query<{ tenant: string; sk: string }>({ partition: { pk: 'ACTIVE' } })) {
      yield { tenant: row.tenant, id: row.sk };
    }
  }

  private watchRow(tenant: string, id: string): Row {
    return { ...keyOf.active(id), tenant, expiresAt: this.now() + WATCHED_SECONDS };
  }
}
