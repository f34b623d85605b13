/** A value that a row may hold. */
export type RowValue =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | readonly RowValue[]
  | { readonly [name: string]: RowValue | undefined };

/** A row: values by attribute name. What is undefined is left out. */
export type Row = Readonly<Record<string, RowValue | undefined>>;

/** A value as DynamoDB's protocol writes it. */
export type AttributeValue =
  | { readonly S: string }
  | { readonly N: string }
  | { readonly BOOL: boolean }
  | { readonly NULL: true }
  | { readonly B: string }
  | { readonly L: readonly AttributeValue[] }
  | { readonly M: Attributes };

export type Attributes = Readonly<Record<string, AttributeValue>>;

/**
 * @throws RangeError for a number that is none, or infinite: DynamoDB has no such value
 */
export function toAttribute(value: RowValue): AttributeValue {
  if (value === null) return { NULL: true };
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'boolean') return { BOOL: value };
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError(`a row cannot hold ${value}`);
    return { N: String(value) };
  }
  if (value instanceof Uint8Array) return { B: Buffer.from(value).toString('base64') };
  return isList(value) ? { L: value.map(toAttribute) } : { M: toAttributes(value) };
}

export function toAttributes(row: Row): Attributes {
  const present = Object.entries(row).filter((entry): entry is [string, RowValue] => entry[1] !== undefined);
  return Object.fromEntries(present.map(([name, value]) => [name, toAttribute(value)]));
}

/** @throws TypeError for a set, which no row of ours holds */
export function fromAttribute(value: AttributeValue): RowValue {
  if ('S' in value) return value.S;
  if ('N' in value) return Number(value.N);
  if ('BOOL' in value) return value.BOOL;
  if ('NULL' in value) return null;
  if ('B' in value) return Buffer.from(value.B, 'base64');
  if ('L' in value) return value.L.map(fromAttribute);
  if ('M' in value) return fromAttributes(value.M);
  throw new TypeError(`a row holds a value of type ${Object.keys(value).join()}, which is not read here`);
}

export function fromAttributes(attributes: Attributes): Record<string, RowValue> {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, fromAttribute(value)]));
}

// Array.isArray does not narrow read-only arrays.
function isList(value: RowValue): value is readonly RowValue[] {
  return Array.isArray(value);
}
