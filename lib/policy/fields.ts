/**
 * Small checks for plain data that report every fault at once. A library would be the better choice, but a jsii package
 * must not make its consumers install one for forty lines.
 */

/** One thing that is wrong: where, and what to write instead. */
export interface Fault {
  /** Path of the field, such as `plans[1].tokensPerMinute`. */
  readonly path: string;
  /** What is expected and what was found. */
  readonly message: string;
}

/** Appends to `faults` what is wrong with `value`, which stands at `path`. */
export type Check = (value: unknown, path: string, faults: Fault[]) => void;

/** Makes the value readable in an error, on one line and of bounded length. */
export function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? typeof value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** A check from a predicate and the words that follow «must be». */
export function mustBe(expected: string, holds: (value: unknown) => boolean): Check {
  return (value, path, faults) => {
    if (!holds(value)) faults.push({ path, message: `must be ${expected}, got ${show(value)}` });
  };
}

/** A whole number within bounds, both included. */
export function whole(min: number, max = Number.MAX_SAFE_INTEGER): Check {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return mustBe(
    `a whole number ${range}`,
    (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  );
}

/** A share above 0 (or from 0) up to 1. */
export function share(bounds: { zeroAllowed: boolean }): Check {
  return mustBe(
    bounds.zeroAllowed ? 'a number from 0 to 1' : 'a number above 0 and at most 1',
    (value) => typeof value === 'number' && value <= 1 && (bounds.zeroAllowed ? value >= 0 : value > 0),
  );
}

/** A number within bounds; `above` is excluded, the others are included. */
export function number(bounds: { above?: number; min?: number; max?: number }): Check {
  const { above = -Infinity, min = -Infinity, max = Infinity } = bounds;
  const words = [
    ...(bounds.above === undefined ? [] : [`above ${above}`]),
    ...(bounds.min === undefined ? [] : [`of at least ${min}`]),
    ...(bounds.max === undefined ? [] : [`at most ${max}`]),
  ];
  return mustBe(
    `a number ${words.join(' and ')}`,
    (value) => typeof value === 'number' && Number.isFinite(value) && value > above && value >= min && value <= max,
  );
}

/** True or false. */
export const truth = mustBe('true or false', (value) => typeof value === 'boolean');

/** An object with at least one field, each of which passes `item`. */
export function mapOf(item: Check): Check {
  return (value, path, faults) => {
    if (!isRecord(value) || Object.keys(value).length === 0) {
      faults.push({ path, message: `must be an object with at least one field, got ${show(value)}` });
      return;
    }
    for (const [field, entry] of Object.entries(value)) item(entry, `${path}["${field}"]`, faults);
  };
}

/** One of the values of an enumeration. */
export function oneOf(values: readonly string[]): Check {
  return mustBe(values.map((value) => JSON.stringify(value)).join(' or '), (value) => values.includes(value as string));
}

/** A list of at least `min` items, each of which passes `item`. */
export function listOf(item: Check, min: number): Check {
  return (value, path, faults) => {
    if (!Array.isArray(value) || value.length < min) {
      faults.push({ path, message: `must be a list of at least ${min}, got ${show(value)}` });
      return;
    }
    value.forEach((entry, index) => item(entry, `${path}[${index}]`, faults));
  };
}

/** An object with the given fields and no others. A field in `required` must be there. */
export function shape(fields: Record<string, Check>, required: readonly string[]): Check {
  const known = Object.keys(fields);
  return (value, path, faults) => {
    if (!isRecord(value)) {
      faults.push({ path: path || 'policy', message: `must be an object, got ${show(value)}` });
      return;
    }
    const at = (field: string) => (path ? `${path}.${field}` : field);
    for (const field of Object.keys(value)) {
      if (!known.includes(field)) {
        faults.push({ path: at(field), message: `is not a known field; write one of ${known.join(', ')}` });
      }
    }
    for (const field of known) {
      if (value[field] !== undefined) fields[field]!(value[field], at(field), faults);
      else if (required.includes(field)) faults.push({ path: at(field), message: 'is required' });
    }
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
