import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020';
import fc from 'fast-check';
import { mismatches } from '../../../../lib/policy/pipeline/contract';
import { compileCheck } from '../../../../lib/policy/pipeline/schema-check';
import { checkSchema, type JsonSchema } from '../../../../lib/policy/pipeline/json-schema';
import type { Fault } from '../../../../lib/policy/fields';
import { schemas, values } from './random-schemas';

const RUNS = Number(process.env.CONTRACT_RUNS ?? 500);

function faultsOf(schema: unknown): string[] {
  const faults: Fault[] = [];
  checkSchema(schema, 'schema', faults);
  return faults.map(({ path, message }) => `${path}: ${message}`);
}

describe('the check of a record against a schema', () => {
  const ajv = new Ajv2020({ strict: false, logger: false });

  it('says yes and no exactly where ajv does', () => {
    let refused = 0;
    fc.assert(
      fc.property(schemas, fc.array(values, { minLength: 1, maxLength: 10 }), (schema, candidates) => {
        expect(faultsOf(schema)).toEqual([]);
        const [own, reference] = [compileCheck(schema), ajv.compile(schema)];
        for (const value of candidates) {
          refused += reference(value) ? 0 : 1;
          expect({ value, ok: own(value) === undefined }).toEqual({ value, ok: reference(value) });
        }
      }),
      { numRuns: RUNS },
    );
    expect(refused).toBeGreaterThan(RUNS);
  });

  it('names the path and never the value, which may be personal', () => {
    const check = compileCheck({
      type: 'object',
      properties: {
        people: { type: 'array', items: { type: 'object', properties: { mail: { type: 'string', format: 'email' } } } },
      },
    });
    expect(check({ people: [{ mail: 'a@b.c' }, { mail: 'secret' }] })).toBe(
      'people[1].mail must be of the format email',
    );
    expect(check({ people: [{ mail: 7 }] })).toBe('people[0].mail must be string, is number');
    expect(check([])).toBe('the record must be object, is array');
  });

  it.each([
    [
      'date',
      ['2024-02-29', '2000-02-29'],
      ['2023-02-29', '1900-02-29', '2024-13-01', '2024-1-1', '2024-01-01T00:00:00Z'],
    ],
    [
      'date-time',
      ['2024-02-29T23:59:59Z', '2024-01-01T00:00:00.123+02:00'],
      [
        '2024-01-01',
        '2024-01-01T24:00:00Z',
        '2024-01-01T00:00:00',
        '2024-02-30T00:00:00Z',
        '2024-01-01T00:00:00+25:00',
      ],
    ],
    ['email', ['a@b', 'first.last+tag@example.com'], ['a', '@b', 'a@', 'a b@c', 'a@b@c', 'a@b.']],
    ['uri', ['https://a/b?c', 'urn:isbn:1', 's3://bucket/key'], ['a/b', '//host', 'http://', 'https://a b']],
    [
      'uuid',
      ['123e4567-e89b-12d3-a456-426614174000'],
      ['123e4567e89b12d3a456426614174000', '123e4567-e89b-12d3-a456-42661417400g'],
    ],
  ])('knows the format %s', (format, good, bad) => {
    const check = compileCheck({ type: 'string', format });
    expect(good.filter((text) => check(text) !== undefined)).toEqual([]);
    expect(bad.filter((text) => check(text) === undefined)).toEqual([]);
  });

  it.each(['toString', 'constructor', 'time'])('knows no format %s', (format) => {
    expect(faultsOf({ type: 'string', format })).toEqual([
      `schema.format: must be one of date, date-time, email, uri, uuid, got "${format}"`,
    ]);
  });
});

describe('what one stage gives and the next takes', () => {
  it('is sound: where nothing is found, every value that is given is taken', () => {
    let compatible = 0;
    let tried = 0;
    fc.assert(
      fc.property(schemas, schemas, fc.array(values, { minLength: 20, maxLength: 20 }), (one, other, candidates) => {
        for (const [given, accepted] of [
          [one, other],
          [one, { ...other, ...one }],
          [one, loosened(one)],
        ] as const) {
          if (mismatches(given, accepted).length > 0) continue;
          compatible++;
          const [gives, takes] = [compileCheck(given), compileCheck(accepted)];
          for (const value of candidates) {
            if (gives(value) !== undefined) continue;
            tried++;
            expect({ given, accepted, value, fault: takes(value) }).toEqual({
              given,
              accepted,
              value,
              fault: undefined,
            });
          }
        }
      }),
      { numRuns: RUNS },
    );
    expect(compatible).toBeGreaterThan(RUNS / 2);
    expect(tried).toBeGreaterThan(RUNS / 2);
  });

  it('is not needlessly strict: each schema takes what it gives itself', () => {
    fc.assert(
      fc.property(schemas, (schema) => expect(mismatches(schema, schema)).toEqual([])),
      { numRuns: RUNS },
    );
  });

  it.each<[string, JsonSchema, JsonSchema, string | undefined]>([
    [
      'a type that is missing',
      { type: ['string', 'null'] },
      { type: 'string' },
      'it may be null, where string is taken',
    ],
    ['whole numbers for numbers', { type: 'integer' }, { type: 'number' }, undefined],
    ['numbers for whole numbers', { type: 'number' }, { type: 'integer' }, 'it may be number, where integer is taken'],
    [
      'a whole number above an open bound',
      { type: 'integer', minimum: 1 },
      { type: 'number', exclusiveMinimum: 0 },
      undefined,
    ],
    [
      'a smaller number',
      { type: 'number', minimum: 0 },
      { type: 'number', exclusiveMinimum: 0 },
      'it may be less than what is taken (the bound is 0, where the bound is 0, itself excluded)',
    ],
    ['an enum within an enum', { enum: ['a'] }, { enum: ['a', 'b'] }, undefined],
    ['a value more', { enum: ['a', 'c'] }, { enum: ['a', 'b'] }, 'it may be "c", which is not taken'],
    ['a constant of the right format', { const: '2024-01-01' }, { type: 'string', format: 'date' }, undefined],
    ['any text for an enum', { type: 'string' }, { enum: ['a'] }, 'it may be any string'],
    ['true and false by an enum', { type: 'boolean' }, { enum: [true, false] }, undefined],
    [
      'a field that may be left out',
      { type: 'object', properties: { a: {} } },
      { type: 'object', required: ['a'] },
      '"a" may be left out, and is required',
    ],
    [
      'a field that nobody describes',
      { type: 'object' },
      { type: 'object', properties: { a: { type: 'string' } } },
      '"a" is not described, and may be anything; describe it, or set additionalProperties to false',
    ],
    [
      'a closed object',
      { type: 'object', additionalProperties: false },
      { type: 'object', properties: { a: { type: 'string' } } },
      undefined,
    ],
    ['a format', { type: 'string' }, { type: 'string', format: 'uuid' }, 'it has no format, where uuid is taken'],
    [
      'a longer text',
      { type: 'string', maxLength: 9 },
      { type: 'string', maxLength: 5 },
      'its maxLength is 9, where 5 is taken',
    ],
  ])('%s', (_, given, accepted, reason) => {
    expect(mismatches(given, accepted)[0]?.reason).toBe(reason);
  });
});

describe('the schemas that a contract may use', () => {
  it('refuse every other keyword by its name', () => {
    for (const keyword of [
      '$ref',
      'allOf',
      'anyOf',
      'oneOf',
      'not',
      'if',
      'patternProperties',
      'uniqueItems',
      'multipleOf',
      'default',
    ]) {
      const [fault] = faultsOf({ type: 'object', [keyword]: {} });
      expect(fault?.startsWith(`schema.${keyword}: is a keyword that a contract must not use`)).toBe(true);
    }
    expect(faultsOf({ type: 'object', additionalProperties: {} })).toEqual([
      'schema.additionalProperties: must be true or false, got {}',
    ]);
  });

  it('refuse a pattern on which a stranger could hang a stage, and take those in use', () => {
    const taken = [
      '^a',
      '^[A-Z]{2}\\d{2}$',
      '^(open|closed)$',
      '^\\p{L}+$',
      '^[^@]{1,64}@x$',
      '^\\d{4}-\\d{2}$',
      '^a?b?$',
      '^[0-9a-f]{32}$',
      `^(?:${Array.from({ length: 250 }, (_, i) => `c${i}`).join('|')})$`,
      '^(?:https?|ftp)://[^ ]+$',
    ];
    const refused = [
      'a',
      '^(a+)+$',
      '^(a|a)*$',
      '^.*.*$',
      '^(?=a)b',
      '^(a)\\1$',
      '^(',
      '^(?:a|b){9}',
      '^a|b',
      '^a{0,99}a{0,99}',
      '^(?<!a)b',
      `^${'(?:a|a)'.repeat(13)}c$`,
      `^${'(?:a|(b|a))'.repeat(9)}c$`,
      '^a{0,300}a*b$',
    ];
    expect(taken.flatMap((pattern) => faultsOf({ pattern }))).toEqual([]);
    expect(refused.filter((pattern) => faultsOf({ pattern }).length === 0)).toEqual([]);
  });

  it('nest no deeper than the stack bears', () => {
    let schema: JsonSchema = {};
    for (let i = 0; i < 5000; i++) schema = { items: schema };
    expect(faultsOf(schema)).toEqual([expect.stringMatching(/must nest at most 32 schemas deep$/)]);
  });
});

/** The same with one bound less, which must still take all. */
function loosened({ minimum: _, maxItems: __, required: ___, ...rest }: JsonSchema): JsonSchema {
  return rest;
}
