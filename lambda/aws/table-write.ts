import { type Row, type RowValue, toAttributes } from './attribute-value';
import { type Condition, ExpressionParts } from './condition';

/** Attributes of a row's key. */
export type Key = Readonly<Record<string, string | number>>;

/** What is changed in one row, which comes to be where there is none. */
export interface RowUpdate {
  readonly key: Key;
  /** Attributes and their new values. */
  readonly set?: Row;
  /** Attributes that get a value where they have none. */
  readonly setOnce?: Row;
  /** Numbers and what is added to them; a number that is missing counts from 0. */
  readonly add?: Readonly<Record<string, number>>;
  /** Attributes that are removed. */
  readonly remove?: readonly string[];
  /** What must hold of the row before. */
  readonly condition?: Condition;
}

/** One write of a transaction. */
export type TransactionWrite =
  | { readonly put: Row; readonly condition?: Condition }
  | { readonly update: RowUpdate }
  | { readonly remove: Key; readonly condition?: Condition }
  /** Writes nothing; the condition must hold of that row. */
  | { readonly check: Key; readonly condition: Condition };

/** The fields of a put, without the table. */
export function putFields(row: Row, condition?: Condition): object {
  return { Item: toAttributes(row), ...conditionFields(condition, new ExpressionParts()) };
}

/** The fields of a delete, or of a check. */
export function keyFields(key: Key, condition?: Condition): object {
  return { Key: toAttributes(key), ...conditionFields(condition, new ExpressionParts()) };
}

/**
 * The fields of an update.
 *
 * @throws RangeError where nothing is to be changed
 */
export function updateFields({ key, set = {}, setOnce = {}, add = {}, remove = [], condition }: RowUpdate): object {
  const parts = new ExpressionParts();
  const present = (row: Row) => Object.entries(row).filter((e): e is [string, RowValue] => e[1] !== undefined);
  const sets = [
    ...present(set).map(([name, value]) => `${parts.name(name)} = ${parts.value(value)}`),
    ...present(setOnce).map(([name, value]) => {
      const held = parts.name(name);
      return `${held} = if_not_exists(${held}, ${parts.value(value)})`;
    }),
  ];
  const adds = Object.entries(add).map(([name, amount]) => `${parts.name(name)} ${parts.value(amount)}`);
  const removes = remove.map((name) => parts.name(name));
  const clauses = Object.entries({ SET: sets, ADD: adds, REMOVE: removes })
    .filter(([, items]) => items.length > 0)
    .map(([clause, items]) => `${clause} ${items.join(', ')}`);
  if (clauses.length === 0) throw new RangeError('an update must set, add or remove something');
  return {
    Key: toAttributes(key),
    UpdateExpression: clauses.join(' '),
    ...conditionFields(condition, parts),
  };
}

/** The fields of a write in a transaction, under its kind. */
export function transactionFields(table: string, write: TransactionWrite): object {
  const common = { TableName: table };
  if ('put' in write) return { Put: { ...common, ...putFields(write.put, write.condition) } };
  if ('update' in write) return { Update: { ...common, ...updateFields(write.update) } };
  if ('remove' in write) return { Delete: { ...common, ...keyFields(write.remove, write.condition) } };
  return { ConditionCheck: { ...common, ...keyFields(write.check, write.condition) } };
}

function conditionFields(condition: Condition | undefined, parts: ExpressionParts): object {
  const expression = condition?.(parts);
  return { ...(expression !== undefined && { ConditionExpression: expression }), ...parts.fields };
}
