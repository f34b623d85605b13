import { FORMATS } from './formats';
import { type JsonSchema, type JsonType, typesOf } from './json-schema';

/** Says what is wrong with a value, `path: what it must be`; undefined where nothing is. It never repeats the value. */
export type ValueCheck = (value: unknown) => string | undefined;

/** `undefined`, or the fault; `path` is built from the inside out, only where there is one. */
type Inner = (value: unknown) => InnerFault | undefined;

interface InnerFault {
  readonly path: string;
  readonly message: string;
}

/**
 * Turns a valid schema into a check, once, so that records cost no look at the schema. The first fault is enough: a record
 * with one is set aside.
 */
export function compileCheck(schema: JsonSchema): ValueCheck {
  const inner = compile(schema);
  return (value) => {
    const fault = inner(value);
    return fault && `${fault.path === '' ? 'the record' : fault.path.replace(/^\./, '')} ${fault.message}`;
  };
}

function compile(schema: JsonSchema): Inner {
  const types = typesOf(schema);
  const general = valueCheck(schema);
  const byType: Partial<Record<JsonType, Inner>> = {
    number: numberCheck(schema),
    string: stringCheck(schema),
    array: arrayCheck(schema),
    object: objectCheck(schema),
  };
  const accepted = new Set(types);
  const wrongType: InnerFault = { path: '', message: `must be ${types.join(' or ')}` };
  const integers = accepted.has('integer');
  return (value) => {
    const type = typeOf(value);
    const known = accepted.has(type) || (integers && type === 'number' && Number.isInteger(value));
    if (!known) return { ...wrongType, message: `${wrongType.message}, is ${describe(type, value)}` };
    return general?.(value) ?? byType[type]?.(value);
  };
}

function typeOf(value: unknown): JsonType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  const type = typeof value;
  if (type === 'number') return 'number';
  if (type === 'string') return 'string';
  return type === 'boolean' ? 'boolean' : 'object';
}

function describe(type: JsonType, value: unknown): string {
  return type === 'number' && !Number.isInteger(value) ? 'a number with a fraction' : type;
}

function valueCheck(schema: JsonSchema): Inner | undefined {
  const lists: (readonly unknown[])[] = [];
  if (schema.enum !== undefined) lists.push(schema.enum);
  if (Object.hasOwn(schema, 'const')) lists.push([schema.const]);
  if (lists.length === 0) return undefined;
  // Most lists hold no object, and need no text of the value to be compared by.
  const areSimple = lists.every((list) => list.every((value) => typeof value !== 'object' || value === null));
  const sets = lists.map((list) => new Set<unknown>(areSimple ? list : list.map(canonical)));
  const fault: InnerFault = { path: '', message: 'must be one of the values of the schema' };
  return (value) => (sets.every((set) => set.has(areSimple ? value : canonical(value))) ? undefined : fault);
}

function numberCheck(schema: JsonSchema): Inner | undefined {
  const { minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
  if ([minimum, maximum, above, below].every((bound) => bound === undefined)) return undefined;
  const { least = -Infinity, most = Infinity } = { least: minimum, most: maximum };
  const words = [
    ...(minimum === undefined ? [] : [`at least ${minimum}`]),
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(maximum === undefined ? [] : [`at most ${maximum}`]),
    ...(below === undefined ? [] : [`below ${below}`]),
  ];
  const fault: InnerFault = { path: '', message: `must be ${words.join(' and ')}` };
  return (value) => {
    const number = value as number;
    const inside =
      number >= least && number <= most && !(number <= (above ?? -Infinity)) && !(number >= (below ?? Infinity));
    return inside ? undefined : fault;
  };
}

function stringCheck(schema: JsonSchema): Inner | undefined {
  const checks: Inner[] = [];
  const { minLength: least = 0, maxLength: most = Infinity, pattern, format } = schema;
  if (least > 0 || most < Infinity) {
    const range = most === Infinity ? `at least ${least}` : `${least} to ${most}`;
    const fault: InnerFault = { path: '', message: `must have ${range} characters` };
    checks.push((value) => (lengthWithin(value as string, least, most) ? undefined : fault));
  }
  if (pattern !== undefined) {
    const expression = new RegExp(pattern, 'u');
    const fault: InnerFault = { path: '', message: `must match ${pattern}` };
    checks.push((value) => (expression.test(value as string) ? undefined : fault));
  }
  const holds = format === undefined ? undefined : FORMATS[format];
  if (holds) {
    const fault: InnerFault = { path: '', message: `must be of the format ${format}` };
    checks.push((value) => (holds(value as string) ? undefined : fault));
  }
  return first(checks);
}

/** JSON Schema counts characters, a string in memory halves of UTF-16 pairs. */
function lengthWithin(text: string, least: number, most: number): boolean {
  if (text.length < least || text.length > most * 2) return false;
  // No character takes more than two halves, so these lengths need no count.
  if (text.length <= most && text.length >= least * 2) return true;
  let characters = 0;
  for (let i = 0; i < text.length; i++) {
    characters++;
    const code = text.charCodeAt(i);
    if (code >= 0xd800 && code < 0xdc00) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next < 0xe000) i++;
    }
  }
  return characters >= least && characters <= most;
}

function arrayCheck({ items, minItems = 0, maxItems = Infinity }: JsonSchema): Inner | undefined {
  const checks: Inner[] = [];
  if (minItems > 0 || maxItems < Infinity) {
    const range = maxItems === Infinity ? `at least ${minItems}` : `${minItems} to ${maxItems}`;
    const fault: InnerFault = { path: '', message: `must have ${range} items` };
    checks.push((value) => {
      const { length } = value as unknown[];
      return length >= minItems && length <= maxItems ? undefined : fault;
    });
  }
  if (items !== undefined) {
    const each = compile(items);
    checks.push((value) => {
      const list = value as unknown[];
      for (let i = 0; i < list.length; i++) {
        const fault = each(list[i]);
        if (fault) return { path: `[${i}]${fault.path}`, message: fault.message };
      }
      return undefined;
    });
  }
  return first(checks);
}

function objectCheck({ properties = {}, required = [], additionalProperties = true }: JsonSchema): Inner | undefined {
  const checks: Inner[] = [];
  for (const name of required) {
    const fault: InnerFault = { path: `.${name}`, message: 'is required' };
    checks.push((value) => (Object.hasOwn(value as object, name) ? undefined : fault));
  }
  for (const [name, property] of Object.entries(properties)) {
    const check = compile(property);
    checks.push((value) => {
      if (!Object.hasOwn(value as object, name)) return undefined;
      const fault = check((value as Record<string, unknown>)[name]);
      return fault && { path: `.${name}${fault.path}`, message: fault.message };
    });
  }
  if (!additionalProperties) {
    const known = new Set(Object.keys(properties));
    const fault: InnerFault = { path: '', message: 'has a field that the schema does not name' };
    checks.push((value) => (Object.keys(value as object).every((name) => known.has(name)) ? undefined : fault));
  }
  return first(checks);
}

function first(checks: readonly Inner[]): Inner | undefined {
  if (checks.length <= 1) return checks[0];
  return (value) => {
    for (const check of checks) {
      const fault = check(value);
      if (fault) return fault;
    }
    return undefined;
  };
}

/** JSON with the fields of objects in order: equal for equal values. */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item)).join(',')}]`;
  const record = value as Record<string, unknown>;
  const names = Object.keys(record).filter((name) => record[name] !== undefined);
  return `{${names
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(record[name])}`)
    .join(',')}}`;
}
