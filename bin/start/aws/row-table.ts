import type { AttributeValue, Attributes } from '../../../lambda/aws/attribute-value';
import { invalid } from './expression-tokens';
import { compared } from './value-order';

/** An attribute of a table's key. */
export interface KeyAttribute {
  readonly name: string;
  readonly type: 'S' | 'N' | 'B';
}

/** A row and all that is after it in its partition. */
interface Place {
  readonly rows: Attributes[];
  readonly index: number;
  readonly isThere: boolean;
}

/** DynamoDB's limit for a row. */
const MOST_ROW_BYTES = 400 * 1024;

/** The rows of a table, those of a partition in the order of their sort keys. */
export class RowTable {
  private readonly partitions = new Map<string, Attributes[]>();

  public constructor(
    public readonly name: string,
    public readonly partitionKey: KeyAttribute,
    public readonly sortKey?: KeyAttribute,
  ) {}

  public get keyNames(): string[] {
    return [this.partitionKey, this.sortKey].flatMap((attribute) => attribute?.name ?? []);
  }

  /** The key of a row. */
  public keyOf(row: Attributes): Attributes {
    return Object.fromEntries(this.keyNames.map((name) => [name, row[name]!]));
  }

  /** Text that is the same for the same row. */
  public identity(key: Attributes): string {
    return JSON.stringify(this.keyNames.map((name) => key[name]));
  }

  public get(key: Attributes): Attributes | undefined {
    this.seeKey(key);
    const { rows, index, isThere } = this.find(key);
    return isThere ? rows[index] : undefined;
  }

  public put(row: Attributes): void {
    const { rows, index, isThere } = this.find(row);
    rows.splice(index, isThere ? 1 : 0, row);
    this.partitions.set(partitionOf(row[this.partitionKey.name]!), rows);
  }

  public remove(key: Attributes): void {
    const { rows, index, isThere } = this.find(key);
    if (!isThere) return;
    rows.splice(index, 1);
    if (rows.length === 0) this.partitions.delete(partitionOf(key[this.partitionKey.name]!));
  }

  /** Rows of a partition in one direction, those after a key. */
  public *rowsOf(partition: AttributeValue, isDescending: boolean, after?: Attributes): Generator<Attributes, void> {
    const rows = [...(this.partitions.get(partitionOf(partition)) ?? [])];
    if (!after) {
      yield* isDescending ? rows.reverse() : rows;
      return;
    }
    this.seeKey(after);
    const { index, isThere } = this.find(after);
    if (isDescending) yield* rows.slice(0, index).reverse();
    else yield* rows.slice(index + (isThere ? 1 : 0));
  }

  /** @throws ServiceError where a key lacks an attribute, has others or has one of another type */
  public seeKey(key: Attributes): void {
    const isKey = Object.keys(key).length === this.keyNames.length;
    if (!isKey) throw invalid('The provided key element does not match the schema');
    this.seeKeyAttributes(key);
  }

  /** @throws ServiceError where a row cannot stand in the table */
  public seeRow(row: Attributes): void {
    this.seeKeyAttributes(row);
    if (Buffer.byteLength(JSON.stringify(row)) > MOST_ROW_BYTES) {
      throw invalid('Item size has exceeded the maximum allowed size');
    }
  }

  private seeKeyAttributes(row: Attributes): void {
    for (const { name, type } of [this.partitionKey, ...(this.sortKey ? [this.sortKey] : [])]) {
      const value = row[name] as Readonly<Record<string, string>> | undefined;
      if (value?.[type] === undefined) throw invalid(`the key needs ${name} of type ${type}`);
      if (value[type] === '') throw invalid(`${name} is part of the key and must not be empty`);
    }
  }

  /** Where a row stands, or would. */
  private find(key: Attributes): Place {
    const rows = this.partitions.get(partitionOf(key[this.partitionKey.name]!)) ?? [];
    const { sortKey } = this;
    if (!sortKey) return { rows, index: 0, isThere: rows.length > 0 };
    const wanted = key[sortKey.name]!;
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compared(rows[middle]![sortKey.name]!, wanted)! < 0) low = middle + 1;
      else high = middle;
    }
    const found = rows[low];
    return { rows, index: low, isThere: found !== undefined && compared(found[sortKey.name]!, wanted) === 0 };
  }
}

function partitionOf(value: AttributeValue): string {
  return JSON.stringify(value);
}
