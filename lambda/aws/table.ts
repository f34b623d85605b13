import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type Attributes, fromAttributes, type Row, toAttributes } from './attribute-value';
import { AwsError } from './aws-error';
import { type Condition, ExpressionParts } from './condition';
import { withRetries } from './retries';
import { type AwsService, callJson } from './service';
import { queryFields, type RowPage, type TableQuery } from './table-query';
import {
  type Key,
  keyFields,
  putFields,
  type RowUpdate,
  transactionFields,
  type TransactionWrite,
  updateFields,
} from './table-write';

/** A write that was not made, since its condition does not hold. */
export class ConditionFailed extends Error {
  public override readonly name = 'ConditionFailed';

  /**
   * @param indexes which writes of a transaction it was; `[0]` for a single write
   * @param row the row as it is, for a single write; undefined where there is none
   * @param followsUncertain whether an earlier try of this call may have been carried out, so that the condition may
   * have failed on what that wrote
   */
  public constructor(
    public readonly indexes: readonly number[],
    public readonly row: Row | undefined,
    public readonly followsUncertain: boolean,
  ) {
    super(`the condition of write ${indexes.join(' and ')} does not hold`);
  }
}

/** What a call may answer; none has all of it. */
interface TableAnswer {
  readonly Item?: Attributes;
  readonly Items?: readonly Attributes[];
  readonly Attributes?: Attributes;
  readonly LastEvaluatedKey?: Attributes;
}

/** What a refusal says besides its code. */
interface Refusal {
  readonly Item?: Attributes;
  readonly CancellationReasons?: readonly { readonly Code?: string }[];
}

/** Reasons for which a transaction was called off that pass by themselves. */
const PASSING = new Set(['None', 'TransactionConflict', 'ThrottlingError', 'ProvisionedThroughputExceeded']);

/** A table of DynamoDB, with rows as plain values. */
export class Table {
  public constructor(
    private readonly service: AwsService,
    private readonly name: string,
  ) {}

  /**
   * Reads a row, or undefined where there is none.
   *
   * @param options `consistent`: sees every write that was acknowledged before, default false; `attributes`: those that
   * are given, default all
   */
  public async get<T extends Row = Row>(
    key: Key,
    { consistent = false, attributes }: { readonly consistent?: boolean; readonly attributes?: readonly string[] } = {},
  ): Promise<T | undefined> {
    const parts = new ExpressionParts();
    const projection = attributes?.map((name) => parts.name(name)).join(', ');
    const { Item } = await this.call('GetItem', true, {
      Key: toAttributes(key),
      ConsistentRead: consistent,
      ...(projection !== undefined && { ProjectionExpression: projection }),
      ...parts.fields,
    });
    return Item && (fromAttributes(Item) as T);
  }

  /**
   * Writes a whole row in the place of the one with its key. A write whose answer was lost is found out where the row
   * then stands as it was written.
   *
   * @throws ConditionFailed
   */
  public async put(row: Row, condition?: Condition): Promise<void> {
    try {
      await this.call('PutItem', true, putFields(row, condition));
    } catch (error) {
      if (error instanceof ConditionFailed && error.followsUncertain && isSame(error.row, row)) return;
      throw error;
    }
  }

  /**
   * Changes a row and returns what it is then.
   *
   * @param options `isRepeatable`: whether it may be sent again where nobody knows if it was carried out, default true
   * unless it adds
   * @throws ConditionFailed
   */
  public async update<T extends Row = Row>(
    update: RowUpdate,
    { isRepeatable = update.add === undefined }: { readonly isRepeatable?: boolean } = {},
  ): Promise<T> {
    const fields = { ...updateFields(update), ReturnValues: 'ALL_NEW' };
    const { Attributes: row = {} } = await this.call('UpdateItem', isRepeatable, fields);
    return fromAttributes(row) as T;
  }

  /**
   * Removes a row, or sees that there is none.
   *
   * @throws ConditionFailed
   */
  public async remove(key: Key, condition?: Condition): Promise<void> {
    await this.call('DeleteItem', true, keyFields(key, condition));
  }

  /** Reads one page of a query; there may be a next one even after a page without rows. */
  public async page<T extends Row = Row>(query: TableQuery): Promise<RowPage<T>> {
    const { Items = [], LastEvaluatedKey: next } = await this.call('Query', true, queryFields(query));
    return { rows: Items.map((item) => fromAttributes(item) as T), ...(next && { next: fromAttributes(next) as Key }) };
  }

  /** Reads all rows of a query, page by page. */
  public async *query<T extends Row = Row>(query: TableQuery): AsyncGenerator<T, void, undefined> {
    let { startAfter } = query;
    do {
      const { rows, next } = await this.page<T>({ ...query, ...(startAfter && { startAfter }) });
      yield* rows;
      startAfter = next;
    } while (startAfter);
  }

  /**
   * Makes up to a hundred writes, each of another row, or none of them. Sent again, it is carried out once.
   *
   * @throws ConditionFailed where conditions do not hold
   */
  public async transact(writes: readonly TransactionWrite[]): Promise<void> {
    const input = {
      TransactItems: writes.map((write) => transactionFields(this.name, write)),
      ClientRequestToken: randomUUID(),
    };
    // Called off for another transaction on its rows, it is worth the same tries that a throttled call gets.
    await withRetries(() => this.transactOnce(input), true, this.service);
  }

  private async transactOnce(input: object): Promise<void> {
    try {
      await callJson({ ...this.service, attempts: 1 }, 'DynamoDB_20120810.TransactWriteItems', input);
    } catch (error) {
      if (!(error instanceof AwsError) || error.code !== 'TransactionCanceledException') throw error;
      const reasons = (error.detail as Refusal).CancellationReasons ?? [];
      const failed = reasons.flatMap(({ Code: code }, i) => (code === 'ConditionalCheckFailed' ? [i] : []));
      if (failed.length > 0) throw new ConditionFailed(failed, undefined, error.followsUncertain);
      const passes = reasons.length > 0 && reasons.every(({ Code: code = 'None' }) => PASSING.has(code));
      throw passes ? new AwsError(error.message, 'TransactionInProgressException', error.status, error.detail) : error;
    }
  }

  private async call(operation: string, isRepeatable: boolean, fields: object): Promise<TableAnswer> {
    const input = {
      TableName: this.name,
      ...('ConditionExpression' in fields && { ReturnValuesOnConditionCheckFailure: 'ALL_OLD' }),
      ...fields,
    };
    try {
      return (await callJson(this.service, `DynamoDB_20120810.${operation}`, input, { isRepeatable })) as TableAnswer;
    } catch (error) {
      if (!(error instanceof AwsError) || error.code !== 'ConditionalCheckFailedException') throw error;
      const { Item: item } = error.detail as Refusal;
      throw new ConditionFailed([0], item && fromAttributes(item), error.followsUncertain);
    }
  }
}

function isSame(row: Row | undefined, written: Row): boolean {
  return row !== undefined && isDeepStrictEqual(row, fromAttributes(toAttributes(written)));
}
