import { type JsonSchema, type JsonType, typesOf } from './json-schema';
import { canonical, compileCheck } from './schema-check';

/** Why a consumer cannot take all that a producer may give. Paths are within the schemas, such as `.properties.text`. */
export interface Mismatch {
  /** Where in the producer's schema. */
  readonly given: string;
  /** Where in the consumer's schema. */
  readonly accepted: string;
  /** What the producer may give that the consumer does not take. */
  readonly reason: string;
}

/**
 * Finds what a record of the schema `given` may hold that the schema `accepted` refuses.
 *
 * It is sound: where it finds nothing, every value that `given` accepts is accepted by `accepted` (a property that the
 * tests try on random schemas and values). It is not complete: equal sets that are written with different patterns are
 * told apart.
 */
export function mismatches(given: JsonSchema, accepted: JsonSchema): Mismatch[] {
  const found: Mismatch[] = [];
  compare(given, accepted, { given: '', accepted: '' }, found);
  return found;
}

interface At {
  readonly given: string;
  readonly accepted: string;
}

function compare(given: JsonSchema, accepted: JsonSchema, at: At, found: Mismatch[]): void {
  const values = finiteValues(given);
  if (values) {
    compareValues(values, accepted, at, found);
    return;
  }
  const types = typesOf(accepted);
  const missing = typesOf(given).filter(
    (type) => !types.includes(type) && !(type === 'integer' && types.includes('number')),
  );
  if (missing.length > 0) {
    const reason = `it may be ${missing.join(' or ')}, where ${types.join(' or ')} is taken`;
    found.push({ ...at, reason });
    return;
  }
  const possible = typesOf(given);
  const listed = accepted.enum !== undefined || Object.hasOwn(accepted, 'const');
  const open = possible.filter((type) => type !== 'null' && type !== 'boolean');
  if (listed && open.length > 0) {
    const keyword = accepted.enum === undefined ? 'const' : 'enum';
    found.push({ ...at, accepted: `${at.accepted}.${keyword}`, reason: `it may be any ${open.join(' or ')}` });
    return;
  }
  if (listed) compareValues(valuesOfTypes(possible), accepted, at, found);
  if (possible.includes('number')) compareNumbers(given, accepted, false, at, found);
  if (possible.includes('integer')) compareNumbers(given, accepted, true, at, found);
  if (possible.includes('string')) compareStrings(given, accepted, at, found);
  if (possible.includes('array')) compareArrays(given, accepted, at, found);
  if (possible.includes('object')) compareObjects(given, accepted, at, found);
}

/** The values of a schema that lists them, less those that it refuses itself. */
function finiteValues(schema: JsonSchema): readonly unknown[] | undefined {
  const values = schema.enum ?? (Object.hasOwn(schema, 'const') ? [schema.const] : undefined);
  if (values === undefined) return undefined;
  const check = compileCheck(schema);
  return values.filter((value) => check(value) === undefined);
}

function valuesOfTypes(types: readonly JsonType[]): unknown[] {
  return [...(types.includes('null') ? [null] : []), ...(types.includes('boolean') ? [true, false] : [])];
}

function compareValues(values: readonly unknown[], accepted: JsonSchema, at: At, found: Mismatch[]): void {
  const check = compileCheck(accepted);
  const refused = values.filter((value) => check(value) !== undefined);
  if (refused.length === 0) return;
  const shown = refused.slice(0, 3).map(canonical).join(', ');
  found.push({ ...at, reason: `it may be ${shown}${refused.length > 3 ? ', …' : ''}, which is not taken` });
}

/** A bound as the least whole number, or as the number and whether it is itself outside. */
interface Bound {
  readonly value: number;
  readonly open: boolean;
}

function lowerBound({ minimum = -Infinity, exclusiveMinimum: above = -Infinity }: JsonSchema, whole: boolean): Bound {
  const bound = above >= minimum && above > -Infinity ? { value: above, open: true } : { value: minimum, open: false };
  if (!whole || !Number.isFinite(bound.value)) return bound;
  return { value: bound.open ? Math.floor(bound.value) + 1 : Math.ceil(bound.value), open: false };
}

function upperBound({ maximum, exclusiveMaximum }: JsonSchema, whole: boolean): Bound {
  const mirrored = lowerBound(
    {
      ...(maximum !== undefined && { minimum: -maximum }),
      ...(exclusiveMaximum !== undefined && { exclusiveMinimum: -exclusiveMaximum }),
    },
    whole,
  );
  return { value: -mirrored.value, open: mirrored.open };
}

function compareNumbers(given: JsonSchema, accepted: JsonSchema, whole: boolean, at: At, found: Mismatch[]): void {
  const [low, least] = [lowerBound(given, whole), lowerBound(accepted, whole)];
  if (low.value < least.value || (low.value === least.value && least.open && !low.open)) {
    found.push({ ...at, reason: `it may be less than what is taken (${boundWords(low)}, where ${boundWords(least)})` });
  }
  const [high, most] = [upperBound(given, whole), upperBound(accepted, whole)];
  if (high.value > most.value || (high.value === most.value && most.open && !high.open)) {
    found.push({ ...at, reason: `it may be more than what is taken (${boundWords(high)}, where ${boundWords(most)})` });
  }
}

function boundWords({ value, open }: Bound): string {
  if (!Number.isFinite(value)) return 'it has no bound';
  return `the bound is ${value}${open ? ', itself excluded' : ''}`;
}

function compareStrings(given: JsonSchema, accepted: JsonSchema, at: At, found: Mismatch[]): void {
  compareCounts(given, accepted, 'minLength', 'maxLength', at, found);
  for (const keyword of ['pattern', 'format'] as const) {
    if (accepted[keyword] === undefined || accepted[keyword] === given[keyword]) continue;
    const has = given[keyword] === undefined ? `no ${keyword}` : `the ${keyword} ${given[keyword]}`;
    const reason = `it has ${has}, where ${accepted[keyword]} is taken`;
    found.push({ ...at, accepted: `${at.accepted}.${keyword}`, reason });
  }
}

function compareCounts(
  given: JsonSchema,
  accepted: JsonSchema,
  low: 'minLength' | 'minItems',
  high: 'maxLength' | 'maxItems',
  at: At,
  found: Mismatch[],
): void {
  const [least, atLeast] = [given[low] ?? 0, accepted[low] ?? 0];
  if (least < atLeast) {
    const reason = `its ${low} is ${least}, where ${atLeast} is taken`;
    found.push({ ...at, accepted: `${at.accepted}.${low}`, reason });
  }
  const [most, atMost] = [given[high] ?? Infinity, accepted[high] ?? Infinity];
  if (most > atMost) {
    const has = most === Infinity ? `it has no ${high}` : `its ${high} is ${most}`;
    found.push({ ...at, accepted: `${at.accepted}.${high}`, reason: `${has}, where ${atMost} is taken` });
  }
}

function compareArrays(given: JsonSchema, accepted: JsonSchema, at: At, found: Mismatch[]): void {
  compareCounts(given, accepted, 'minItems', 'maxItems', at, found);
  if (accepted.items === undefined || given.maxItems === 0) return;
  compare(given.items ?? {}, accepted.items, { given: `${at.given}.items`, accepted: `${at.accepted}.items` }, found);
}

function compareObjects(given: JsonSchema, accepted: JsonSchema, at: At, found: Mismatch[]): void {
  const named = given.properties ?? {};
  const taken = accepted.properties ?? {};
  for (const name of accepted.required ?? []) {
    if (given.required?.includes(name)) continue;
    const reason = `"${name}" may be left out, and is required`;
    found.push({ given: `${at.given}.required`, accepted: `${at.accepted}.required`, reason });
  }
  for (const [name, property] of Object.entries(taken)) {
    const inner = { given: `${at.given}.properties.${name}`, accepted: `${at.accepted}.properties.${name}` };
    if (Object.hasOwn(named, name)) {
      compare(named[name]!, property, inner, found);
    } else if (given.additionalProperties !== false && !acceptsAll(property)) {
      const reason = `"${name}" is not described, and may be anything; describe it, or set additionalProperties to false`;
      found.push({ ...inner, given: `${at.given}.additionalProperties`, reason });
    }
  }
  if (accepted.additionalProperties !== false) return;
  for (const name of Object.keys(named)) {
    if (Object.hasOwn(taken, name)) continue;
    const reason = `"${name}" may be there, and no field beside those that are described is taken`;
    const inner = { given: `${at.given}.properties.${name}`, accepted: `${at.accepted}.additionalProperties` };
    found.push({ ...inner, reason });
  }
  if (given.additionalProperties !== false) {
    const inner = { given: `${at.given}.additionalProperties`, accepted: `${at.accepted}.additionalProperties` };
    found.push({ ...inner, reason: 'any field may be there, and none beside those that are described is taken' });
  }
}

function acceptsAll(schema: JsonSchema): boolean {
  const found: Mismatch[] = [];
  compare({}, schema, { given: '', accepted: '' }, found);
  return found.length === 0;
}
