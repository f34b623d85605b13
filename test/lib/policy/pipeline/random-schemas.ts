import fc from 'fast-check';
import type { JsonSchema, JsonType } from '../../../../lib/policy/pipeline/json-schema';

/** Few names and small numbers, so that random schemas and values have something to do with each other. */
const NAMES = ['a', 'b', 'c'];
const small = fc.integer({ min: -3, max: 3 });
const half = small.map((value) => value / 2);
const text = fc.string({ unit: fc.constantFrom('a', 'b', '😀'), maxLength: 4 });

/** Any JSON value of the small world that the schemas describe. */
export const values: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    half,
    text,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

const range = (low: string, high: string, numbers: fc.Arbitrary<number>) =>
  fc.tuple(fc.option(numbers), fc.option(numbers)).map(([one, other]) => {
    if (one !== null && other !== null) return { [low]: Math.min(one, other), [high]: Math.max(one, other) };
    return { ...(one !== null && { [low]: one }), ...(other !== null && { [high]: other }) };
  });

const KEYWORDS: Record<Exclude<JsonType, 'null' | 'boolean' | 'integer'>, fc.Arbitrary<JsonSchema>> = {
  number: fc
    .tuple(
      range('minimum', 'maximum', half),
      fc.record({ exclusiveMinimum: half, exclusiveMaximum: half }, { requiredKeys: [] }),
    )
    .map(([inclusive, exclusive]) => ({ ...inclusive, ...exclusive })),
  string: fc
    .tuple(
      range('minLength', 'maxLength', fc.nat({ max: 3 })),
      fc.record({ pattern: fc.constantFrom('^a', '^b*$') }, { requiredKeys: [] }),
    )
    .map(([length, rest]) => ({ ...length, ...rest })),
  array: range('minItems', 'maxItems', fc.nat({ max: 3 })),
  object: fc.record(
    { required: fc.uniqueArray(fc.constantFrom(...NAMES)), additionalProperties: fc.boolean() },
    { requiredKeys: [] },
  ),
};

/** Any schema of the subset, mostly one that accepts something. */
export const schemas: fc.Arbitrary<JsonSchema> = fc.letrec<{ schema: JsonSchema }>((tie) => ({
  schema: fc
    .tuple(
      fc.option(
        fc.uniqueArray(fc.constantFrom<JsonType>('null', 'boolean', 'integer', 'number', 'string', 'array', 'object'), {
          minLength: 1,
          maxLength: 3,
        }),
      ),
      KEYWORDS.number,
      KEYWORDS.string,
      KEYWORDS.array,
      KEYWORDS.object,
      fc.oneof(
        { depthSize: 'small' },
        fc.constant({}),
        fc.record(
          {
            items: tie('schema'),
            properties: fc.dictionary(fc.constantFrom(...NAMES), tie('schema'), { maxKeys: 2, noNullPrototype: true }),
          },
          { requiredKeys: [] },
        ),
      ),
      fc.option(fc.uniqueArray(values, { minLength: 1, maxLength: 4, selector: (value) => JSON.stringify(value) }), {
        freq: 6,
      }),
    )
    .map(([type, number, string, array, object, inner, list]) => ({
      ...(type && { type }),
      ...number,
      ...string,
      ...array,
      ...object,
      ...inner,
      ...(list && { enum: list }),
    })),
})).schema;
