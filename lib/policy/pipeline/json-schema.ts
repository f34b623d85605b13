import { type Fault, isRecord, show } from '../fields';
import { FORMATS } from './formats';
import { patternFault } from './safe-pattern';

/**
 * The part of JSON Schema (2020-12) that contracts are written in. It is the part for which «everything that this schema
 * accepts, that one accepts too» can be decided; any other keyword is refused by name.
 */
export interface JsonSchema {
  readonly type?: JsonType | readonly JsonType[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
}

export type JsonType = (typeof JSON_TYPES)[number];

export const JSON_TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'] as const;

/** Keywords that say nothing about values. */
const ANNOTATIONS = ['title', 'description', 'examples', '$comment', '$schema', '$id'];

/** Schemas nest no deeper, so that neither they nor the values that they accept exhaust the stack. */
const MOST_DEPTH = 32;

type KeywordCheck = (value: unknown) => string | undefined;

const expected = (words: string, holds: (value: unknown) => boolean): KeywordCheck => {
  return (value) => (holds(value) ? undefined : `must be ${words}, got ${show(value)}`);
};
const count = expected(
  'a whole number of at least 0',
  (value) => Number.isSafeInteger(value) && (value as number) >= 0,
);
const bound = expected('a number', (value) => typeof value === 'number' && Number.isFinite(value));
const isText = (value: unknown): value is string => typeof value === 'string';
const isType = (value: unknown) => JSON_TYPES.includes(value as JsonType);

const KEYWORDS: Readonly<Record<string, KeywordCheck>> = {
  type: expected(`one of ${JSON_TYPES.join(', ')}, or a list of them`, (value) =>
    Array.isArray(value)
      ? value.length > 0 && value.every(isType) && new Set(value).size === value.length
      : isType(value),
  ),
  enum: expected('a list of at least one value', (value) => Array.isArray(value) && value.length > 0),
  const: () => undefined,
  properties: expected('an object of schemas', isRecord),
  required: expected(
    'a list of names, each once',
    (value) => Array.isArray(value) && value.every(isText) && new Set(value).size === value.length,
  ),
  additionalProperties: expected('true or false', (value) => typeof value === 'boolean'),
  items: expected('a schema', isRecord),
  minItems: count,
  maxItems: count,
  minimum: bound,
  maximum: bound,
  exclusiveMinimum: bound,
  exclusiveMaximum: bound,
  minLength: count,
  maxLength: count,
  pattern: (value) => (isText(value) ? patternFault(value) : `must be a regular expression, got ${show(value)}`),
  format: expected(
    `one of ${Object.keys(FORMATS).join(', ')}`,
    (value) => isText(value) && Object.hasOwn(FORMATS, value),
  ),
};

const ORDERED = [
  ['minimum', 'maximum'],
  ['minItems', 'maxItems'],
  ['minLength', 'maxLength'],
] as const;

/** Appends what is wrong with a schema that stands at `path`. */
export function checkSchema(schema: unknown, path: string, faults: Fault[], depth = 0): void {
  if (!isRecord(schema)) {
    faults.push({ path, message: `must be a JSON Schema, an object, got ${show(schema)}` });
    return;
  }
  if (depth > MOST_DEPTH) {
    faults.push({ path, message: `must nest at most ${MOST_DEPTH} schemas deep` });
    return;
  }
  for (const [keyword, value] of Object.entries(schema)) {
    if (ANNOTATIONS.includes(keyword)) continue;
    const check = Object.hasOwn(KEYWORDS, keyword) ? KEYWORDS[keyword] : undefined;
    const message = check
      ? check(value)
      : `is a keyword that a contract must not use, since what follows from it is not checked; write one of ${Object.keys(KEYWORDS).join(', ')}`;
    if (message !== undefined) faults.push({ path: `${path}.${keyword}`, message });
  }
  for (const [low, high] of ORDERED) {
    const [least, most] = [schema[low], schema[high]];
    if (typeof least === 'number' && typeof most === 'number' && least > most) {
      faults.push({ path: `${path}.${high}`, message: `must be at least ${low} (${least}), got ${most}` });
    }
  }
  for (const [name, property] of Object.entries(isRecord(schema.properties) ? schema.properties : {})) {
    checkSchema(property, `${path}.properties.${name}`, faults, depth + 1);
  }
  if (isRecord(schema.items)) checkSchema(schema.items, `${path}.items`, faults, depth + 1);
}

/** The schema of a record: besides, it must accept objects only. */
export function checkRecordSchema(schema: unknown, path: string, faults: Fault[]): void {
  checkSchema(schema, path, faults);
  if (isRecord(schema) && schema.type !== 'object') {
    faults.push({ path: `${path}.type`, message: `must be "object", since a record is one, got ${show(schema.type)}` });
  }
}

/** The types that a schema accepts, with `integer` left out where `number` stands. */
export function typesOf({ type }: JsonSchema): readonly JsonType[] {
  if (type === undefined) return JSON_TYPES.filter((name) => name !== 'integer');
  const types = isText(type) ? [type] : type;
  return types.includes('number') ? types.filter((name) => name !== 'integer') : types;
}
