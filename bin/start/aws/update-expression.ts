import type { AttributeValue, Attributes } from '../../../lambda/aws/attribute-value';
import { ExpressionReader, type PlaceHolders } from './expression-reader';
import { invalid } from './expression-tokens';
import { sumOf } from './value-order';

/** What an update makes of a row; it reads the row as it was before. */
export type RowChange = (row: Attributes) => Attributes;

type Assignment = (row: Attributes) => readonly [name: string, value: AttributeValue | undefined];

/**
 * Reads an update expression: SET with values and if_not_exists, ADD of numbers and REMOVE, on whole attributes.
 *
 * @param keyNames attributes that no update may change
 * @throws ServiceError for anything else
 */
export function readUpdate(expression: string, holders: PlaceHolders, keyNames: readonly string[]): RowChange {
  const reader = new ExpressionReader(expression, holders);
  const assignments: Assignment[] = [];
  const names: string[] = [];
  const named = () => {
    const name = reader.name();
    if (keyNames.includes(name)) throw invalid(`${name} is part of the key and cannot be updated`);
    if (names.includes(name)) throw invalid(`the update changes ${name} twice`);
    names.push(name);
    return name;
  };
  const clauses: Readonly<Record<string, () => Assignment>> = {
    SET: () => setOne(reader, named()),
    ADD: () => addOne(reader, named()),
    REMOVE: () => {
      const name = named();
      return () => [name, undefined];
    },
  };
  const seen = new Set<string>();
  do {
    const clause = Object.keys(clauses).find((name) => reader.takes(name));
    if (clause === undefined || seen.has(clause)) throw reader.unexpected('SET, ADD or REMOVE, each once');
    seen.add(clause);
    assignments.push(...reader.list(clauses[clause]!));
  } while (!reader.isAtEnd);
  return (row) => {
    const changed: Record<string, AttributeValue> = { ...row };
    for (const [name, value] of assignments.map((assignment) => assignment(row))) {
      if (value) changed[name] = value;
      else delete changed[name];
    }
    return changed;
  };
}

function setOne(reader: ExpressionReader, name: string): Assignment {
  reader.expect('=');
  if (reader.isValueNext()) {
    const value = reader.value();
    return () => [name, value];
  }
  if (reader.functionName() !== 'if_not_exists') throw reader.unexpected('a value or if_not_exists');
  const source = reader.name();
  reader.expect(',');
  const otherwise = reader.value();
  reader.expect(')');
  return (row) => [name, row[source] ?? otherwise];
}

function addOne(reader: ExpressionReader, name: string): Assignment {
  const amount = reader.value();
  if (!('N' in amount)) throw invalid(`ADD of ${name}: a local run adds numbers only`);
  return (row) => {
    const before = row[name] ?? { N: '0' };
    if (!('N' in before)) throw invalid(`ADD of ${name}: the row has no number there`);
    return [name, { N: sumOf(before.N, amount.N) }];
  };
}
