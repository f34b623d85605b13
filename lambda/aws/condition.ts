import { type AttributeValue, type RowValue, toAttribute } from './attribute-value';

/** What must hold of a row, or of the row that is not there. Made by the functions below. */
export type Condition = (into: ExpressionParts) => string;

/** Collects names and values, for which expressions have place-holders: names may be reserved words. */
export class ExpressionParts {
  private readonly names = new Map<string, string>();
  private readonly values: AttributeValue[] = [];

  /** Place-holder for an attribute's name. */
  public name(name: string): string {
    const held = this.names.get(name) ?? `#${this.names.size}`;
    this.names.set(name, held);
    return held;
  }

  /** Place-holder for a value. */
  public value(value: RowValue): string {
    return `:${this.values.push(toAttribute(value)) - 1}`;
  }

  /** The fields of a call that say what the place-holders stand for. */
  public get fields(): object {
    return {
      ...(this.names.size > 0 && {
        ExpressionAttributeNames: Object.fromEntries([...this.names].map(([name, held]) => [held, name])),
      }),
      ...(this.values.length > 0 && {
        ExpressionAttributeValues: Object.fromEntries(this.values.map((value, i) => [`:${i}`, value])),
      }),
    };
  }
}

type Comparison = (name: string, value: RowValue) => Condition;

const compared =
  (operator: string): Comparison =>
  (name, value) =>
  (into) =>
    `${into.name(name)} ${operator} ${into.value(value)}`;

/** The attribute has that value. It fails where the attribute is missing, as all comparisons do but `differs`. */
export const equals = compared('=');
/** The attribute has another value, or none. */
export const differs = compared('<>');
export const isBelow = compared('<');
export const isAtMost = compared('<=');
export const isAbove = compared('>');
export const isAtLeast = compared('>=');

/** The row has the attribute. */
export function exists(name: string): Condition {
  return (into) => `attribute_exists(${into.name(name)})`;
}

/** The row lacks the attribute. Of an attribute of the key: there is no such row. */
export function isAbsent(name: string): Condition {
  return (into) => `attribute_not_exists(${into.name(name)})`;
}

export function beginsWith(name: string, prefix: string): Condition {
  return (into) => `begins_with(${into.name(name)}, ${into.value(prefix)})`;
}

/** The attribute has one of up to a hundred values. */
export function isOneOf(name: string, values: readonly RowValue[]): Condition {
  return (into) => `${into.name(name)} IN (${values.map((value) => into.value(value)).join(', ')})`;
}

/** Every one of them holds. */
export function allOf(...conditions: readonly Condition[]): Condition {
  return (into) => conditions.map((condition) => `(${condition(into)})`).join(' AND ');
}

/** At least one of them holds. */
export function anyOf(...conditions: readonly Condition[]): Condition {
  return (into) => conditions.map((condition) => `(${condition(into)})`).join(' OR ');
}

export function not(condition: Condition): Condition {
  return (into) => `NOT (${condition(into)})`;
}
