import { anyOf, isAbsent, isAtMost } from '../aws/condition';
import { ConditionFailed, type Table } from '../aws/table';
import type { TransactionWrite } from '../aws/table-write';
import type { Once, UsedBefore } from '../queueing/books';
import { keyOf } from './rows';

/** A day: longer than any client tries again. */
const KEPT_SECONDS = 86_400;

/** What a key was used for, if it was. */
export async function usedFor(table: Table, tenant: string, key: string, now: number): Promise<UsedBefore | undefined> {
  const row = await table.get<{ digest: string; id: string; expiresAt: number }>(keyOf.once(tenant, key), {
    consistent: true,
  });
  // The table forgets rows hours after their time.
  return row && row.expiresAt > now ? { digest: row.digest, id: row.id } : undefined;
}

/** Makes writes together with the note of the key under which they are made, unless that was used before. */
export async function writeOnce(
  table: Table,
  writes: readonly TransactionWrite[],
  { tenant, id }: { readonly tenant: string; readonly id: string },
  once: Once | undefined,
  now: number,
): Promise<UsedBefore | undefined> {
  if (!once) {
    await table.transact(writes);
    return undefined;
  }
  const row = { ...keyOf.once(tenant, once.key), digest: once.digest, id, expiresAt: now + KEPT_SECONDS };
  const isFree = anyOf(isAbsent('pk'), isAtMost('expiresAt', now));
  try {
    await table.transact([...writes, { put: row, condition: isFree }]);
    return undefined;
  } catch (error) {
    if (!(error instanceof ConditionFailed) || !error.indexes.includes(writes.length)) throw error;
    const used = await usedFor(table, tenant, once.key, now);
    if (!used) throw error;
    return used;
  }
}
