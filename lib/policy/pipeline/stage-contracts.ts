import { type PipelineSource, type PipelineStage, RecordFormat } from './definition';
import type { JsonSchema } from './json-schema';
import type { StageWork } from './stage-work';

/** What goes in and out of a stage, with what a bundled stage leaves unsaid filled in. */
export interface StageContract {
  readonly input: JsonSchema;
  readonly output: JsonSchema;
  /** What the work of a bundled stage needs by itself; its `input` must be within it. */
  readonly needs?: JsonSchema;
  /** What the work of a bundled stage makes of `input`; its `output` must take all of it. */
  readonly makes?: JsonSchema;
}

const TEXT: JsonSchema = { type: 'string' };
const MEDIA_TYPES = ['text/markdown', 'text/plain'];

/** What the reader gives for a document. */
export const DOCUMENT_RECORD: JsonSchema = {
  type: 'object',
  properties: { uri: { type: 'string', minLength: 1 }, text: TEXT, mediaType: { type: 'string', enum: MEDIA_TYPES } },
  required: ['uri', 'text', 'mediaType'],
  additionalProperties: false,
};

/** What the reader promises about its records: everything for a document, else that they are objects. */
export function sourceSchema(source: PipelineSource | undefined): JsonSchema | undefined {
  return source?.format === RecordFormat.DOCUMENT ? DOCUMENT_RECORD : undefined;
}

/**
 * The contracts of the stages, each after what the one before it gives. Takes stages whose own schemas are sound.
 *
 * A bundled stage without an `input` takes all that the stage before it gives, as far as its work can.
 */
export function stageContracts(source: PipelineSource | undefined, stages: readonly PipelineStage[]): StageContract[] {
  let before = sourceSchema(source);
  return stages.map((stage) => {
    const contract = contractOf(stage, before);
    before = contract.output;
    return contract;
  });
}

function contractOf({ work, input, output }: PipelineStage, before: JsonSchema | undefined): StageContract {
  const needs = needsOf(work);
  const anything: JsonSchema = { type: 'object' };
  if (!needs) return { input: input ?? anything, output: output ?? anything };
  const taken = (input as JsonSchema | undefined) ?? narrowed(before ?? anything, needs);
  const makes = makesOf(work, taken);
  return { input: taken, output: (output as JsonSchema | undefined) ?? makes, needs, makes };
}

/**
 * What a bundled stage takes where nobody says: what comes, and what it needs. Where the two contradict each other it is
 * what it needs, so that the contract check names the field. A source of JSON lines promises nothing, so its records are
 * checked as they come.
 */
function narrowed(before: JsonSchema, needs: JsonSchema): JsonSchema {
  const properties = { ...before.properties };
  for (const [name, needed] of Object.entries(needs.properties ?? {})) properties[name] ??= needed;
  const required = [...new Set([...(before.required ?? []), ...(needs.required ?? [])])];
  return { ...before, properties, required };
}

function needsOf(work: StageWork): JsonSchema | undefined {
  if (work.check) return { type: 'object' };
  if (work.parse || work.chunk) return record({ uri: { type: 'string', minLength: 1 }, text: TEXT });
  if (work.normalise) return record(textFields(work.normalise.fields));
  if (work.redact) return record(textFields(work.redact.fields));
  if (work.embed) return record(textFields([work.embed.field ?? 'text']));
  return undefined;
}

function textFields(fields: readonly string[] = ['text']): Record<string, JsonSchema> {
  return Object.fromEntries(fields.map((field) => [field, TEXT]));
}

function record(properties: Record<string, JsonSchema>): JsonSchema {
  return { type: 'object', properties, required: Object.keys(properties) };
}

function makesOf(work: StageWork, input: JsonSchema): JsonSchema {
  if (work.check) return work.check.dropUnknownFields ? { ...input, additionalProperties: false } : input;
  if (work.parse)
    return withFields(input, { text: TEXT, title: TEXT, mediaType: { type: 'string', enum: MEDIA_TYPES } });
  if (work.normalise) return withFields(input, textFields(work.normalise.fields));
  if (work.redact) return withFields(input, textFields(work.redact.fields));
  if (work.chunk) {
    return withFields(input, {
      id: { type: 'string', minLength: 32, maxLength: 32, pattern: '^[0-9a-f]{32}$' },
      text: { type: 'string', minLength: 1 },
      heading: TEXT,
      position: { type: 'integer', minimum: 0 },
      tokens: { type: 'integer', minimum: 1 },
    });
  }
  const dimensions = work.embed?.dimensions;
  return withFields(input, {
    embedding: { type: 'array', items: { type: 'number' }, minItems: dimensions, maxItems: dimensions },
  });
}

function withFields(input: JsonSchema, made: Record<string, JsonSchema>): JsonSchema {
  const required = [...new Set([...(input.required ?? []), ...Object.keys(made)])];
  return { ...input, properties: { ...input.properties, ...made }, required };
}
