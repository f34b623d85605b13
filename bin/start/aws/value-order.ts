import type { AttributeValue } from '../../../lambda/aws/attribute-value';

/** Compares two values as DynamoDB orders them; undefined where they are of two types or have no order. */
export function compared(a: AttributeValue, b: AttributeValue): number | undefined {
  if ('S' in a && 'S' in b) return Buffer.compare(Buffer.from(a.S), Buffer.from(b.S));
  if ('B' in a && 'B' in b) return Buffer.compare(Buffer.from(a.B, 'base64'), Buffer.from(b.B, 'base64'));
  if ('N' in a && 'N' in b) {
    const difference = scaled(a.N, b.N, (x, y) => x - y).digits;
    return difference === 0n ? 0 : difference > 0n ? 1 : -1;
  }
  return undefined;
}

/** Whether two values are the same, numbers by what they are and not by how they are written. */
export function isSame(a: AttributeValue, b: AttributeValue): boolean {
  if ('L' in a && 'L' in b) return a.L.length === b.L.length && a.L.every((item, i) => isSame(item, b.L[i]!));
  if ('M' in a && 'M' in b) {
    const names = Object.keys(a.M);
    if (names.length !== Object.keys(b.M).length) return false;
    return names.every((name) => Object.hasOwn(b.M, name) && isSame(a.M[name]!, b.M[name]!));
  }
  if ('BOOL' in a && 'BOOL' in b) return a.BOOL === b.BOOL;
  if ('NULL' in a && 'NULL' in b) return true;
  return compared(a, b) === 0;
}

/** Adds decimal numbers exactly, as DynamoDB does. */
export function sumOf(a: string, b: string): string {
  const { digits, scale } = scaled(a, b, (x, y) => x + y);
  return written(digits, scale);
}

/** Writes a number as DynamoDB does: without superfluous zeros. */
export function normalised(number: string): string {
  return sumOf(number, '0');
}

interface Decimal {
  readonly digits: bigint;
  /** Digits behind the point. */
  readonly scale: number;
}

function scaled(a: string, b: string, combine: (x: bigint, y: bigint) => bigint): Decimal {
  const [x, y] = [decimalOf(a), decimalOf(b)];
  const scale = Math.max(x.scale, y.scale);
  const raised = ({ digits, scale: own }: Decimal) => digits * 10n ** BigInt(scale - own);
  return { digits: combine(raised(x), raised(y)), scale };
}

function decimalOf(text: string): Decimal {
  const [, sign = '', whole = '0', part = '', exponent = '0'] =
    /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const scale = part.length - Number(exponent);
  const digits = BigInt(`${sign === '-' ? '-' : ''}${whole}${part}`);
  return scale >= 0 ? { digits, scale } : { digits: digits * 10n ** BigInt(-scale), scale: 0 };
}

function written(digits: bigint, scale: number): string {
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
  const part = scale > 0 ? text.slice(-scale).replace(/0+$/, '') : '';
  return `${digits < 0n ? '-' : ''}${text.slice(0, text.length - scale)}${part && `.${part}`}`;
}
