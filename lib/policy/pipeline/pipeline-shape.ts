import { type Check, isRecord, listOf, mustBe, number, oneOf, shape, share, show, truth, whole } from '../fields';
import { FaultAction, RecordFormat } from './definition';
import { VectorDistance } from './publishing';
import { PersonalData, UnicodeForm } from './stage-work';

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

const name = mustBe(
  'lower-case letters, digits and hyphens, a letter or digit at each end, at most 63 characters, and not "constructor"',
  // Counts are kept by names of stages and rules, in objects that all know this one.
  (value) => typeof value === 'string' && NAME.test(value) && value !== 'constructor',
);

const field = mustBe(
  'the name of a field, 1 to 128 characters',
  (value) => typeof value === 'string' && value.length >= 1 && value.length <= 128 && value !== '__proto__',
);

const modelName = mustBe(
  '1 to 128 letters, digits and any of . _ : / -, first a letter or digit',
  (value) => typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/.test(value),
);

const file = mustBe(
  'a path of at most 512 characters below a directory, such as "sets/countries.csv"',
  (value) =>
    typeof value === 'string' &&
    /^[A-Za-z0-9._ -]+(\/[A-Za-z0-9._ -]+)*$/.test(value) &&
    value.length <= 512 &&
    !value.split('/').some((part) => part === '.' || part === '..'),
);

const line = mustBe(
  'a line of 1 to 1000 characters',
  (value) => typeof value === 'string' && value.length <= 1000 && value.trim() !== '' && !/[\r\n]/.test(value),
);

const expression = mustBe('an expression', (value) => typeof value === 'string' && value.trim() !== '');

const ending = mustBe(
  'the end of a file name, such as ".md"',
  (value) => typeof value === 'string' && /^[^/\s]{1,64}$/.test(value),
);

/** Schemas have checks of their own. */
const schema = mustBe('a JSON Schema, an object', isRecord);

const list = (item: Check) => listOf(item, 1);

const STAGE_WORK = {
  check: shape({ dropUnknownFields: truth }, []),
  parse: shape({ frontMatter: truth }, []),
  normalise: shape({ fields: list(field), unicode: oneOf(Object.values(UnicodeForm)), boilerplate: list(line) }, []),
  chunk: shape({ mostTokens: whole(16, 8192), overlapTokens: whole(0, 4096) }, []),
  redact: shape({ fields: list(field), kinds: list(oneOf(Object.values(PersonalData))) }, []),
  embed: shape(
    {
      model: modelName,
      dimensions: whole(1, 16_384),
      requestDimensions: truth,
      field,
      context: listOf(field, 0),
      batchSize: whole(1, 2048),
      parallelCalls: whole(1, 64),
      attempts: whole(1, 10),
    },
    ['model', 'dimensions'],
  ),
  function: shape({ name, batchSize: whole(1, 1000) }, ['name']),
  glueJob: shape({ name }, ['name']),
};

const RULE_KINDS = {
  required: list(field),
  range: shape({ field, min: number({}), max: number({}) }, ['field']),
  unique: list(field),
  reference: shape({ field, set: name }, ['field', 'set']),
  time: shape({ field, mostAgeSeconds: number({ min: 0 }), mostAheadSeconds: number({ min: 0 }) }, ['field']),
  expression,
};

/** An object of which exactly one of the given fields is set. */
function exactlyOne(kinds: Record<string, Check>, others: Record<string, Check> = {}): Check {
  const names = Object.keys(kinds);
  const inner = shape({ ...others, ...kinds }, Object.keys(others));
  return (value, path, faults) => {
    inner(value, path, faults);
    if (!isRecord(value)) return;
    const set = names.filter((kind) => value[kind] !== undefined);
    if (set.length !== 1) {
      const found = set.length === 0 ? 'none' : set.map(show).join(' and ');
      faults.push({ path, message: `must have exactly one of ${names.join(', ')}, got ${found}` });
    }
  };
}

const stage = shape(
  {
    name,
    work: exactlyOne(STAGE_WORK),
    input: schema,
    output: schema,
    rules: list(exactlyOne(RULE_KINDS, { name })),
    onFault: oneOf(Object.values(FaultAction)),
  },
  ['name', 'work'],
);

/** The fields of a definition and what each may hold; what they must be to each other is for `validate-pipeline.ts`. */
export const pipelineShape = shape(
  {
    name,
    source: shape(
      {
        format: oneOf(Object.values(RecordFormat)),
        endings: list(ending),
        mostRecordBytes: whole(1, 67_108_864),
        timeField: field,
      },
      [],
    ),
    stages: list(stage),
    references: list(shape({ name, file, field }, ['name', 'file', 'field'])),
    mostFaultRate: share({ zeroAllowed: true }),
    monitors: shape(
      {
        minimumHistory: whole(3, 1000),
        history: whole(3, 1000),
        season: whole(1, 366),
        mostDeviations: number({ min: 3, max: 20 }),
        mostAgeSeconds: whole(1),
        fields: list(field),
        mostPsi: number({ above: 0 }),
        mostCentroidDistance: number({ above: 0, max: 2 }),
      },
      [],
    ),
    retention: shape({ versions: whole(1, 1000), quarantineDays: whole(1, 3650), cacheDays: whole(1, 3650) }, []),
    retrieval: shape(
      {
        goldenSet: file,
        leastRecall: share({ zeroAllowed: true }),
        results: whole(1, 100),
        distance: oneOf(Object.values(VectorDistance)),
        fields: list(field),
      },
      [],
    ),
  },
  ['name', 'stages'],
);
