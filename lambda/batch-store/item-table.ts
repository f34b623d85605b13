import type { Row } from '../aws/attribute-value';
import { AwsError } from '../aws/aws-error';
import { allOf, anyOf, equals, isAbove, isAbsent, isAtMost } from '../aws/condition';
import { ConditionFailed, type Table } from '../aws/table';
import { claimable } from '../queueing/claim';
import { close, type ClosePorts } from '../queueing/close';
import { outdated } from '../queueing/batch-life';
import type { BatchRecord } from '../queueing/batch-record';
import type { BatchBooks } from '../queueing/books';
import type { Claim, ItemDesk, ItemMessage, ItemOutcome, ItemRef } from '../queueing/item';
import { keyOf } from './rows';

/** Counters of a batch: writers at the same time seldom meet at the same one. */
const SHARDS = 16;

/** Tries at counters that others are at. */
const COUNT_TRIES = 8;

/** Seconds for which redriven work's results are put off, so that many come together. */
const REDRIVE_DELAY = 60;

interface ItemRow extends Row {
  readonly state: 'running' | 'done' | 'dead';
  readonly owner: string;
  readonly leaseUntil: number;
  readonly attempts: number;
  /** How the item was counted last. */
  readonly counted?: ItemOutcome;
}

type Ended = ItemRef & { readonly outcome: ItemOutcome };

/** What the desk needs from outside. */
export interface ItemTablePorts extends ClosePorts {
  readonly batches: BatchBooks;
  /** Tells this process from any other. */
  readonly owner: string;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly random: () => number;
}

/** The books of items in the table. */
export class ItemTable implements ItemDesk {
  constructor(
    private readonly table: Table,
    private readonly ports: ItemTablePorts,
  ) {}

  public async claim(items: readonly ItemMessage[], leaseMs: number): Promise<readonly Claim[]> {
    const batches = await this.batchesOf(items);
    const claims = await Promise.all(items.map((item) => this.claimOne(item, batches.get(nameOf(item)), leaseMs)));
    // The worker that finished an item may have died before it saw that it was the last.
    const late = items.filter((_, i) => claims[i]?.kind === 'done');
    await this.closeAll(late.filter((item) => batches.get(nameOf(item))?.ending === undefined));
    return claims;
  }

  public async release(items: readonly ItemRef[]): Promise<void> {
    const isOurs = allOf(equals('owner', this.ports.owner), equals('state', 'running'), isAbove('leaseUntil', 0));
    await Promise.all(
      items.map(async (item) => {
        const change = { set: { leaseUntil: 0 }, add: { attempts: -1 }, condition: isOurs };
        // Made twice, it fails on its own trace.
        await unlessFailed(this.table.update({ key: keyOf.item(item), ...change }, { isRepeatable: true }));
      }),
    );
  }

  public async finish(items: readonly Ended[]): Promise<void> {
    const names = [...new Set(items.map(nameOf))];
    const groups = names.map((name) => items.filter((item) => nameOf(item) === name));
    await Promise.all(groups.map((group) => this.count(group, 'done')));
    await this.closeAll(items);
  }

  public async bury(item: ItemRef): Promise<void> {
    await this.count([{ ...item, outcome: 'failed' }], 'dead');
    await this.closeAll([item]);
  }

  private async batchesOf(items: readonly ItemRef[]): Promise<ReadonlyMap<string, BatchRecord | undefined>> {
    const found = [...new Map(items.map((item) => [nameOf(item), item]))].map(
      async ([name, { tenant, batchId }]) => [name, await this.ports.batches.find(tenant, batchId)] as const,
    );
    return new Map(await Promise.all(found));
  }

  private async claimOne(item: ItemMessage, batch: BatchRecord | undefined, leaseMs: number): Promise<Claim> {
    const now = this.ports.nowMs();
    const verdict = claimable(batch, item.redriven === true, Math.floor(now / 1000));
    if (verdict || !batch) return verdict ?? { kind: 'unknown' };
    const { owner } = this.ports;
    const leaseUntil = now + leaseMs;
    const set = { state: 'running', owner, leaseUntil, expiresAt: batch.expiresAt };
    const isFree = anyOf(isAbsent('pk'), allOf(equals('state', 'running'), isAtMost('leaseUntil', now)));
    const key = keyOf.item(item);
    try {
      const update = { key, set, add: { attempts: 1 }, condition: isFree };
      const { attempts } = await this.table.update<ItemRow>(update, { isRepeatable: true });
      return { kind: 'claimed', attempts };
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      const row = error.row as ItemRow | undefined;
      if (row?.state === 'running') {
        // The answer to a first try was lost, and the second met its trace.
        const isOwn = error.followsUncertain && row.owner === owner && row.leaseUntil === leaseUntil;
        return isOwn ? { kind: 'claimed', attempts: row.attempts } : { kind: 'held', until: row.leaseUntil };
      }
      if (row?.state !== 'dead' || !item.redriven) return { kind: 'done' };
      return this.revive(key, { ...set, attempts: 1 });
    }
  }

  /** Claims an item that was set aside. */
  private async revive(key: ReturnType<typeof keyOf.item>, set: Row & { leaseUntil: number }): Promise<Claim> {
    try {
      await this.table.update({ key, set, condition: equals('state', 'dead') });
      return { kind: 'claimed', attempts: 1 };
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      return { kind: 'held', until: set.leaseUntil };
    }
  }

  /** Notes how items of one batch have ended, each once. All in one write, unless one was noted before. */
  private async count(items: readonly Ended[], state: 'done' | 'dead'): Promise<void> {
    const [first] = items;
    if (!first) return;
    const batch = await this.ports.batches.find(first.tenant, first.batchId);
    // Nothing is left to be counted in.
    if (!batch) return;
    await this.countAll(items, state, batch);
  }

  private async countAll(items: readonly Ended[], state: 'done' | 'dead', batch: BatchRecord): Promise<void> {
    const { expiresAt } = batch;
    const sums: Record<string, number> = {};
    for (const { outcome } of items) sums[outcome] = (sums[outcome] ?? 0) + 1;
    const notes = items.map((item) => ({
      update: {
        key: keyOf.item(item),
        set: { state, counted: item.outcome, leaseUntil: 0, expiresAt },
        condition: isAbsent('counted'),
      },
    }));
    try {
      await this.withCount(notes, batch, sums);
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      const [only] = items;
      if (items.length === 1 && only) await this.recount(only, state, batch);
      else await Promise.all(items.map((item) => this.countAll([item], state, batch)));
    }
  }

  /** Notes the new end of an item that was set aside and then redriven; of any other, the first end stands. */
  private async recount(item: Ended, state: 'done' | 'dead', batch: BatchRecord): Promise<void> {
    const key = keyOf.item(item);
    const row = await this.table.get<ItemRow>(key, { consistent: true });
    const counted = row?.counted;
    if (row?.state !== 'running' || counted === undefined) return;
    const set = { state, counted: item.outcome, leaseUntil: 0 };
    const condition = allOf(equals('state', 'running'), equals('counted', counted));
    const sums = counted === item.outcome ? {} : { [item.outcome]: 1, [counted]: -1 };
    await unlessFailed(this.withCount([{ update: { key, set, condition } }], batch, sums));
    await this.outdate(batch);
  }

  private async withCount(
    notes: Parameters<Table['transact']>[0],
    { id, expiresAt }: BatchRecord,
    sums: Readonly<Record<string, number>>,
  ): Promise<void> {
    for (let tries = 1; ; tries++) {
      const shard = keyOf.count(id, Math.floor(this.ports.random() * SHARDS));
      const count = { update: { key: shard, add: sums, set: { expiresAt } } };
      try {
        await this.table.transact(Object.keys(sums).length > 0 ? [...notes, count] : notes);
        return;
      } catch (error) {
        // Somebody is at the same counter: another may be free.
        const isBusy = error instanceof AwsError && error.wasTurnedAway;
        if (!isBusy || tries >= COUNT_TRIES) throw error;
      }
    }
  }

  /** Has the results put together again, where they stand already. */
  private async outdate({ tenant, id, ending }: BatchRecord): Promise<void> {
    if (ending === undefined) return;
    const { batches, control } = this.ports;
    await batches.watch(tenant, id);
    if (!(await batches.change(tenant, id, outdated))) return;
    await control.send({ v: 1, kind: 'finalise', tenant, batchId: id }, REDRIVE_DELAY);
  }

  private async closeAll(items: readonly ItemRef[]): Promise<void> {
    const batches = new Map(items.map((item) => [nameOf(item), item]));
    await Promise.all([...batches.values()].map(({ tenant, batchId }) => close(tenant, batchId, this.ports)));
  }
}

/** What tells batches apart: to another tenant, an id is none. */
function nameOf({ tenant, batchId }: Pick<ItemRef, 'tenant' | 'batchId'>): string {
  return `${tenant} ${batchId}`;
}

async function unlessFailed(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error;
  }
}
