import { exists } from '../aws/condition';
import { ConditionFailed, type Table } from '../aws/table';
import type { FileBooks, Once, Page, UsedBefore } from '../queueing/books';
import type { FileRecord } from '../queueing/file-record';
import { writeOnce } from './once-row';
import { keyOf, recordOf, rowOf } from './rows';
import { tenantList } from './tenant-list';

/** The books of files in the table. */
export class FileTable implements FileBooks {
  /** @param now seconds since 1970 */
  constructor(
    private readonly table: Table,
    private readonly now: () => number,
  ) {}

  public async add(file: FileRecord, once?: Once): Promise<UsedBefore | undefined> {
    const row = rowOf(keyOf.file(file.tenant, file.id), file);
    if (once) return writeOnce(this.table, [{ put: row }], file, once, this.now());
    await this.table.put(row);
    return undefined;
  }

  public async find(tenant: string, id: string): Promise<FileRecord | undefined> {
    const row = await this.table.get(keyOf.file(tenant, id), { consistent: true });
    return row && recordOf<FileRecord>(row);
  }

  public async arrived({ tenant, id }: FileRecord): Promise<void> {
    // One that was deleted meanwhile is not to come back as half a row.
    await this.table
      .update({ key: keyOf.file(tenant, id), set: { status: 'uploaded' }, condition: exists('pk') })
      .catch((error: unknown) => {
        if (!(error instanceof ConditionFailed)) throw error;
      });
  }

  public async list(tenant: string, page: Page): Promise<readonly FileRecord[]> {
    const rows = await tenantList(this.table, tenant, 'file', page);
    return rows.map((row) => recordOf<FileRecord>(row));
  }

  public async remove(tenant: string, id: string): Promise<boolean> {
    try {
      await this.table.remove(keyOf.file(tenant, id), exists('pk'));
      return true;
    } catch (error) {
      if (error instanceof ConditionFailed) return false;
      throw error;
    }
  }
}
