import type { AttributeValue } from '../../../lambda/aws/attribute-value';
import { readCondition, type RowTest } from './condition-expression';
import type { PlaceHolders } from './expression-reader';
import { invalid } from './expression-tokens';

/** Which rows a query reads. */
export interface KeyCondition {
  readonly partition: AttributeValue;
  /** What holds of the sort key of those of the partition. */
  readonly test: RowTest;
}

/** What a key condition is made of: comparisons other than `<>`, BETWEEN and begins_with, and AND between two of them. */
const FORBIDDEN = /<>|\b(?:OR|NOT|IN|attribute_exists|attribute_not_exists)\b/i;

/**
 * Reads a key condition expression, whose first part is the equality of the partition key.
 *
 * @throws ServiceError for anything else
 */
export function readKeyCondition(expression: string, holders: PlaceHolders, partitionKey: string): KeyCondition {
  const [, name, value, rest] = /^\s*(#?[\w-]+)\s*=\s*(:[\w-]+)(?:\s+AND\s+(.+))?\s*$/i.exec(expression) ?? [];
  if (name === undefined || value === undefined || FORBIDDEN.test(rest ?? '')) {
    throw invalid(`a local run cannot read the key condition "${expression}"`);
  }
  const attribute = name.startsWith('#') ? holders.name(name) : name;
  if (attribute !== partitionKey) throw invalid(`the key condition begins with ${attribute}, not with ${partitionKey}`);
  return { partition: holders.value(value), test: rest === undefined ? () => true : readCondition(rest, holders) };
}
