import type { AttributeValue, Attributes } from '../../../lambda/aws/attribute-value';
import { ExpressionReader, type PlaceHolders } from './expression-reader';
import { invalid } from './expression-tokens';
import { compared, isSame } from './value-order';

/** Whether a condition holds of a row; of a row that is not there, it is an empty one. */
export type RowTest = (row: Attributes) => boolean;

type Operand = (row: Attributes) => AttributeValue | undefined;

const COMPARISONS: Readonly<Record<string, (a: AttributeValue, b: AttributeValue) => boolean>> = {
  '=': isSame,
  '<>': (a, b) => !isSame(a, b),
  '<': (a, b) => (compared(a, b) ?? 0) < 0,
  '<=': (a, b) => (compared(a, b) ?? 1) <= 0,
  '>': (a, b) => (compared(a, b) ?? 0) > 0,
  '>=': (a, b) => (compared(a, b) ?? -1) >= 0,
};

/**
 * Reads a condition or filter expression: comparisons, BETWEEN, IN, AND, OR, NOT, brackets, and the functions
 * attribute_exists, attribute_not_exists and begins_with, on whole attributes.
 *
 * @throws ServiceError for anything else
 */
export function readCondition(expression: string, holders: PlaceHolders): RowTest {
  const reader = new ExpressionReader(expression, holders);
  const test = either(reader);
  reader.expectEnd();
  return test;
}

function either(reader: ExpressionReader): RowTest {
  const first = both(reader);
  if (!reader.takes('OR')) return first;
  const second = either(reader);
  return (row) => first(row) || second(row);
}

function both(reader: ExpressionReader): RowTest {
  const first = single(reader);
  if (!reader.takes('AND')) return first;
  const second = both(reader);
  return (row) => first(row) && second(row);
}

function single(reader: ExpressionReader): RowTest {
  if (reader.takes('NOT')) {
    const test = single(reader);
    return (row) => !test(row);
  }
  if (reader.takes('(')) {
    const test = either(reader);
    reader.expect(')');
    return test;
  }
  const name = reader.functionName();
  return name === undefined ? comparison(reader) : called(name, reader);
}

function called(name: string, reader: ExpressionReader): RowTest {
  const attribute = reader.name();
  const test = functionTest(name, attribute, reader);
  reader.expect(')');
  return test;
}

function functionTest(name: string, attribute: string, reader: ExpressionReader): RowTest {
  switch (name) {
    case 'attribute_exists':
      return (row) => Object.hasOwn(row, attribute);
    case 'attribute_not_exists':
      return (row) => !Object.hasOwn(row, attribute);
    case 'begins_with': {
      reader.expect(',');
      const prefix = reader.value();
      if (!('S' in prefix)) throw invalid('begins_with compares with strings here');
      return (row) => {
        const value = row[attribute];
        return value !== undefined && 'S' in value && value.S.startsWith(prefix.S);
      };
    }
    default:
      throw invalid(`a local run does not know the function ${name}`);
  }
}

function comparison(reader: ExpressionReader): RowTest {
  const left = operand(reader);
  if (reader.takes('BETWEEN')) {
    const from = operand(reader);
    reader.expect('AND');
    const to = operand(reader);
    return (row) => compare('>=', left(row), from(row)) && compare('<=', left(row), to(row));
  }
  if (reader.takes('IN')) {
    reader.expect('(');
    const values = reader.list(() => operand(reader));
    reader.expect(')');
    return (row) => values.some((value) => compare('=', left(row), value(row)));
  }
  const sign = Object.keys(COMPARISONS).find((name) => reader.takes(name));
  if (sign === undefined) throw reader.unexpected('a comparison');
  const right = operand(reader);
  return (row) => compare(sign, left(row), right(row));
}

function operand(reader: ExpressionReader): Operand {
  if (reader.isValueNext()) {
    const value = reader.value();
    return () => value;
  }
  const name = reader.name();
  return (row) => row[name];
}

/** What is missing compares with nothing, and so differs from everything. */
function compare(sign: string, left: AttributeValue | undefined, right: AttributeValue | undefined): boolean {
  if (!left || !right) return sign === '<>';
  return COMPARISONS[sign]!(left, right);
}
