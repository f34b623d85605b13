import { describe, expect, it } from '@jest/globals';
import { PipelineDocument, type PipelineDefinition } from '../../../../lib/policy';
import { resolvePipeline } from '../../../../lib/policy/pipeline/pipeline-defaults';
import { validatePipeline } from '../../../../lib/policy/pipeline/validate-pipeline';

const ORDER = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    amount: { type: 'number' },
    at: { type: 'string', format: 'date-time' },
    country: { type: 'string' },
  },
  required: ['id', 'amount', 'at'],
  additionalProperties: false,
};

const ORDERS = {
  name: 'orders',
  source: { format: 'jsonLines', timeField: 'at' },
  stages: [{ name: 'clean', work: { function: { name: 'clean' } }, input: ORDER, output: ORDER }],
  references: [{ name: 'countries', file: 'countries.csv', field: 'code' }],
};

const NOTE = { name: 'embed', work: { embed: { model: 'm', dimensions: 8, field: 'id', context: [] } } };

const DOCUMENTS = {
  name: 'handbook',
  source: { format: 'document' },
  stages: [
    { name: 'parse', work: { parse: {} } },
    { name: 'normalise', work: { normalise: {} } },
    { name: 'redact', work: { redact: {} } },
    { name: 'chunk', work: { chunk: {} } },
    { name: 'embed', work: { embed: { model: 'bge-m3', dimensions: 1024 } } },
  ],
  retrieval: {},
};

const faults = (definition: unknown) => validatePipeline(definition).map(({ path, message }) => `${path}: ${message}`);
const withRule = (rule: object) => ({
  ...ORDERS,
  stages: [{ ...ORDERS.stages[0], rules: [{ name: 'rule', ...rule }] }],
});

/** Documents of which an index keeps fields, texts that the first stage gives. */
const withFields = (fields: readonly string[]) => {
  const [first, ...others] = DOCUMENTS.stages;
  const given = { uri: { type: 'string', minLength: 1 }, text: { type: 'string' } };
  const properties = { ...given, ...Object.fromEntries(fields.map((field) => [field, { type: 'string' }])) };
  const output = { type: 'object', properties, required: ['uri', 'text'] };
  return { ...DOCUMENTS, stages: [{ ...first, output }, ...others], retrieval: { fields } };
};

describe('a pipeline definition', () => {
  it('is valid without a schema where bundled stages do the work', () => {
    expect(faults(DOCUMENTS)).toEqual([]);
    expect(faults(ORDERS)).toEqual([]);
  });

  it('may ask for longer vectors than an index takes where it fills none', () => {
    const { retrieval: _, ...unindexed } = DOCUMENTS;
    const stages = [{ name: 'embed', work: { embed: { model: 'm', dimensions: 16_384 } } }];
    expect(faults({ ...unindexed, stages })).toEqual([]);
  });

  it('carries the fields of a record through bundled stages', () => {
    const { stages, retrieval } = resolvePipeline(DOCUMENTS as unknown as PipelineDefinition);
    expect(Object.keys(stages.at(-1)!.contract.output.properties!).sort()).toEqual([
      'embedding',
      'heading',
      'id',
      'mediaType',
      'position',
      'text',
      'title',
      'tokens',
      'uri',
    ]);
    expect(retrieval!.fields).toEqual(['uri', 'title', 'heading', 'text']);
  });

  it('is refused where a stage cannot accept what the one before it gives, and both fields are named', () => {
    const nullable = { ...ORDER, properties: { ...ORDER.properties, amount: { type: ['number', 'null'] } } };
    const price = { name: 'price', work: { function: { name: 'price' } }, input: ORDER, output: ORDER };
    expect(faults({ ...ORDERS, stages: [{ ...ORDERS.stages[0], output: nullable }, price] })).toEqual([
      'stages[1].input.properties.amount: does not accept what stages[0] ("clean") gives in its output.properties.amount: it may be null, where number is taken',
    ]);
  });

  it('is refused where a bundled stage lacks the field that it works on', () => {
    const stages = [...ORDERS.stages, { name: 'embed', work: { embed: { model: 'm', dimensions: 8, field: 'body' } } }];
    expect(faults({ ...ORDERS, stages })).toEqual([
      'stages[1].input.required: does not accept what stages[0] ("clean") gives in its output.required: "body" may be left out, and is required',
    ]);
  });

  it('is refused where the output that is written down lacks what the bundled work makes', () => {
    const [parse] = DOCUMENTS.stages;
    const closed = {
      type: 'object',
      properties: { uri: {}, text: {} },
      required: ['uri', 'text'],
      additionalProperties: false,
    };
    expect(faults({ ...DOCUMENTS, retrieval: undefined, stages: [{ ...parse, output: closed }] })[0]).toBe(
      'stages[0].output.additionalProperties: must take what the bundled work of "parse" makes (its properties.mediaType): "mediaType" may be there, and no field beside those that are described is taken',
    );
  });

  it.each<[string, unknown, string]>([
    [
      'no work',
      { ...ORDERS, stages: [{ name: 'x', work: {} }] },
      'stages[0].work: must have exactly one of check, parse, normalise, chunk, redact, embed, function, glueJob, got none',
    ],
    [
      'two works',
      { ...ORDERS, stages: [{ name: 'x', work: { parse: {}, chunk: {} } }] },
      'stages[0].work: must have exactly one of check, parse, normalise, chunk, redact, embed, function, glueJob, got "parse" and "chunk"',
    ],
    [
      'a function without a schema',
      { ...ORDERS, stages: [{ name: 'x', work: { function: { name: 'f' } } }] },
      'stages[0].input: is required: what a function or Glue job takes and gives, its author alone knows',
    ],
    [
      'a keyword outside the subset',
      { ...ORDERS, stages: [{ ...ORDERS.stages[0], input: { type: 'object', oneOf: [] } }] },
      'stages[0].input.oneOf: is a keyword that a contract must not use',
    ],
    [
      'a schema of no object',
      { ...ORDERS, stages: [{ ...ORDERS.stages[0], input: { type: 'string' } }] },
      'stages[0].input.type: must be "object", since a record is one, got "string"',
    ],
    [
      'two stages of one name',
      { ...ORDERS, stages: [...ORDERS.stages, ...ORDERS.stages] },
      'stages[1].name: must be unique, got "clean" again',
    ],
    [
      'a rule of two kinds',
      withRule({ unique: ['id'], required: ['id'] }),
      'stages[0].rules[0]: must have exactly one of required, range, unique, reference, time, expression, got "required" and "unique"',
    ],
    [
      'a rule on no field',
      withRule({ unique: ['key'] }),
      `stages[0].rules[0].unique[0]: must be a field that the stage's output describes ("id", "amount", "at", "country"), got "key"`,
    ],
    [
      'a range of texts',
      withRule({ range: { field: 'id', min: 1 } }),
      'stages[0].rules[0].range.field: must be a number, but the output says string',
    ],
    [
      'a range without bounds',
      withRule({ range: { field: 'amount' } }),
      'stages[0].rules[0].range: must set min or max',
    ],
    [
      'a range that nothing meets',
      withRule({ range: { field: 'amount', min: 2, max: 1 } }),
      'stages[0].rules[0].range.max: must be at least min (2), got 1',
    ],
    [
      'a time without bounds',
      withRule({ time: { field: 'at' } }),
      'stages[0].rules[0].time: must set mostAgeSeconds or mostAheadSeconds',
    ],
    [
      'a set that is not there',
      withRule({ reference: { field: 'country', set: 'planets' } }),
      'stages[0].rules[0].reference.set: must name a set of references ("countries"), got "planets"',
    ],
    [
      'an expression on no field',
      withRule({ expression: 'prize > 1' }),
      'stages[0].rules[0].expression: column 1: prize is no field that the output describes (id, amount, at, country)',
    ],
    [
      'endings without a format',
      { ...ORDERS, source: { endings: ['.x'] } },
      'source.endings: needs source.format, which says what such files hold',
    ],
    [
      'freshness without a time',
      { ...ORDERS, source: {}, monitors: { mostAgeSeconds: 60 } },
      'monitors.mostAgeSeconds: needs source.timeField, which says when a record happened',
    ],
    [
      'a history shorter than the least',
      { ...ORDERS, monitors: { history: 5 } },
      'monitors.history: must be at least 14, for a minimumHistory of 14 and a season of 7, got 5: nothing would be judged',
    ],
    [
      'a history that no season fits in',
      { ...ORDERS, monitors: { minimumHistory: 10, history: 40, season: 38 } },
      'monitors.history: must be at least 41, for a minimumHistory of 10 and a season of 38, got 40: nothing would be judged',
    ],
    ['a name that every object knows', { ...ORDERS, name: 'constructor' }, 'name: must be lower-case letters'],
    [
      'a centroid without vectors',
      { ...ORDERS, monitors: { mostCentroidDistance: 0.1 } },
      'monitors.mostCentroidDistance: needs an embed stage',
    ],
    [
      'retrieval without vectors',
      { ...ORDERS, retrieval: {} },
      'retrieval: needs an embed stage, whose vectors it indexes',
    ],
    [
      'vectors that are too long for an index',
      {
        ...DOCUMENTS,
        stages: [
          ...DOCUMENTS.stages.slice(0, -1),
          { name: 'embed', work: { embed: { model: 'm', dimensions: 8192 } } },
        ],
      },
      `stages[${DOCUMENTS.stages.length - 1}].work.embed.dimensions: must be at most 4096, which is what a vector index takes, got 8192`,
    ],
    [
      'a field that no index keeps',
      { ...DOCUMENTS, retrieval: { fields: ['uri', 'embedding'] } },
      'retrieval.fields[1]: must be text, a number, true or false, or a list of texts by the last stage\'s output; "embedding".items: it may be number, where string is taken',
    ],
    [
      'more fields than an index keeps',
      withFields(Array.from({ length: 11 }, (_, i) => `f${i}`)),
      'retrieval.fields: must be at most 10, which is what an index keeps beside a vector, got 11',
    ],
    [
      'a field with a name that is too long for an index',
      withFields(['f'.repeat(64)]),
      'retrieval.fields[0]: must have a name of at most 63 characters',
    ],
    [
      'retrieval by ids that may come twice',
      { ...ORDERS, stages: [...ORDERS.stages, NOTE], retrieval: {} },
      'retrieval: needs the rule { "name": "one-id-each", "unique": ["id"] } in stages[0] ("clean"), which gives the ids, or in one after it: of records that share an id an index keeps one, and the others would be lost',
    ],
    [
      'retrieval by ids that a stage makes after those that are unique',
      { ...DOCUMENTS, stages: [...DOCUMENTS.stages, { name: 'normal', work: { normalise: { fields: ['id'] } } }] },
      'retrieval: needs the rule { "name": "one-id-each", "unique": ["id"] } in stages[5] ("normal")',
    ],
    [
      'a path out of its directory',
      { ...ORDERS, references: [{ name: 'x', file: '../x', field: 'y' }] },
      'references[0].file: must be a path of at most 512 characters below a directory',
    ],
    [
      'an overlap of more than half',
      { ...DOCUMENTS, stages: [{ name: 'c', work: { chunk: { mostTokens: 100, overlapTokens: 60 } } }] },
      'stages[0].work.chunk.overlapTokens: must be at most half of mostTokens (100), got 60',
    ],
    ['an unknown field', { ...ORDERS, stagez: [] }, 'stagez: is not a known field; write one of name, source, stages'],
  ])('is refused with %s', (_, definition, message) => {
    expect(faults(definition).some((fault) => fault.startsWith(message)) || faults(definition)).toBe(true);
  });

  it('may be searched by ids that a rule says are unique, after the last stage that gives them', () => {
    const unique = { rules: [{ name: 'one-id-each', unique: ['id'] }] };
    const order = { ...ORDER, properties: { ...ORDER.properties, id: { type: 'string', minLength: 1 } } };
    const clean = { ...ORDERS.stages[0], input: order, output: order };
    expect(faults({ ...ORDERS, stages: [{ ...clean, ...unique }, NOTE], retrieval: {} })).toEqual([]);
    expect(faults({ ...ORDERS, stages: [clean, { ...NOTE, ...unique }], retrieval: {} })).toEqual([]);
    const again = { ...clean, name: 'again' };
    expect(faults({ ...ORDERS, stages: [{ ...clean, ...unique }, again, NOTE], retrieval: {} })).toHaveLength(1);
    const both = { name: 'both', unique: ['id', 'amount'] };
    expect(faults({ ...ORDERS, stages: [{ ...clean, rules: [both] }, NOTE], retrieval: {} })).toHaveLength(1);
  });

  it('is read from a file, and every fault is told at once', () => {
    expect(PipelineDocument.fromJson(JSON.stringify(ORDERS)).name).toBe('orders');
    expect(() => PipelineDocument.fromJson('{"name":"X","stages":[]}')).toThrow(
      /the pipeline has 2 faults:\n {2}name: .*\n {2}stages: /,
    );
    expect(() => PipelineDocument.fromJson('{')).toThrow('the pipeline is not valid JSON');
    expect(() => PipelineDocument.fromFile('nowhere.json')).toThrow('the pipeline file "nowhere.json" cannot be read');
    expect(PipelineDocument.validate(ORDERS as unknown as PipelineDefinition)).toEqual([]);
  });
});
