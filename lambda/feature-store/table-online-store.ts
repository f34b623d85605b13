import type { Feature } from '../../lib/policy/features/definition';
import { type Attributes, fromAttributes, toAttributes } from '../aws/attribute-value';
import { equals, isAbsent } from '../aws/condition';
import { type AwsService, callJson } from '../aws/service';
import { ConditionFailed, Table } from '../aws/table';
import { keptUntilMs, mergedRow, type OnlineRow, type OnlineStore } from '../data-pipeline/features/online-store';

/** Tries of a write that others keep getting ahead of. */
const WRITE_TRIES = 20;
const MOST_PAUSE_MS = 200;

/** Tries for keys that DynamoDB leaves out of an answer for lack of throughput. */
const READ_TRIES = 5;

/** An item: all values of an entity as one text, since a number of DynamoDB has less range than one of a feature. */
interface Item {
  readonly id: string;
  /** JSON of the row. */
  readonly values: string;
  /** Counts writes, so that none overwrites what it has not seen. */
  readonly revision: number;
  /** Seconds since 1970: DynamoDB removes the item some time after. */
  readonly expiresAt: number;
}

/** What a page of a batch read answers. */
interface BatchAnswer {
  readonly Responses?: Readonly<Record<string, readonly Attributes[]>>;
  readonly UnprocessedKeys?: Readonly<Record<string, { readonly Keys: readonly Attributes[] }>>;
}

/** The online store in DynamoDB: an item for each entity. */
export class TableOnlineStore implements OnlineStore {
  private readonly table: Table;

  public constructor(
    private readonly service: AwsService,
    private readonly tableName: string,
  ) {
    this.table = new Table(service, tableName);
  }

  /** {@inheritDoc OnlineStore.read} */
  public async read(entity: string, keys: readonly string[]): Promise<OnlineRow[]> {
    const found = new Map<string, OnlineRow>();
    let wanted: readonly Attributes[] = keys.map((key) => toAttributes({ id: idOf(entity, key) }));
    for (let attempt = 0; wanted.length > 0; attempt++) {
      if (attempt === READ_TRIES) throw new Error(`DynamoDB left ${wanted.length} of ${keys.length} keys out`);
      if (attempt > 0) await this.pause(attempt);
      const answer = (await callJson(this.service, 'DynamoDB_20120810.BatchGetItem', {
        RequestItems: { [this.tableName]: { Keys: wanted } },
      })) as BatchAnswer;
      for (const attributes of answer.Responses?.[this.tableName] ?? []) {
        const item = fromAttributes(attributes) as unknown as Item;
        found.set(item.id, JSON.parse(item.values) as OnlineRow);
      }
      wanted = answer.UnprocessedKeys?.[this.tableName]?.Keys ?? [];
    }
    return keys.map((key) => found.get(idOf(entity, key)) ?? {});
  }

  /** {@inheritDoc OnlineStore.write} */
  public async write(entity: string, key: string, row: OnlineRow, features: readonly Feature[]): Promise<void> {
    const id = idOf(entity, key);
    for (let attempt = 1; ; attempt++) {
      const kept = await this.table.get({ id }, { consistent: true });
      const item = kept as unknown as Item | undefined;
      const merged = mergedRow(item ? (JSON.parse(item.values) as OnlineRow) : {}, row);
      const untilMs = merged && keptUntilMs(merged, features);
      if (!merged || !untilMs || untilMs <= this.service.now().getTime()) return;
      const revision = (item?.revision ?? 0) + 1;
      const next = { id, values: JSON.stringify(merged), revision, expiresAt: Math.ceil(untilMs / 1000) };
      try {
        await this.table.put(next, item ? equals('revision', item.revision) : isAbsent('id'));
        return;
      } catch (error) {
        if (!(error instanceof ConditionFailed) || attempt === WRITE_TRIES) throw error;
        await this.pause(attempt);
      }
    }
  }

  /** {@inheritDoc OnlineStore.remove} */
  public async remove(entity: string, key: string): Promise<void> {
    await this.table.remove({ id: idOf(entity, key) });
  }

  private pause(attempt: number): Promise<void> {
    return this.service.pause(this.service.random() * Math.min(MOST_PAUSE_MS, 5 * 2 ** attempt));
  }
}

/** An entity has no `#` in its name, so that no two of them share an id. */
function idOf(entity: string, key: string): string {
  return `${entity}#${key}`;
}
