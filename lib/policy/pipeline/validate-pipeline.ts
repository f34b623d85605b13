import { type Fault, isRecord, show } from '../fields';
import { type Mismatch, mismatches } from './contract';
import { type PipelineDefinition, type PipelineStage, RecordFormat } from './definition';
import { INDEX_LIMITS } from './index-limits';
import { checkRecordSchema, type JsonSchema } from './json-schema';
import { lastEmbed, leastHistory, retrievedFields } from './pipeline-defaults';
import { pipelineShape } from './pipeline-shape';
import { checkUniqueIds } from './unique-ids';
import { type StageContract, sourceSchema, stageContracts } from './stage-contracts';
import { checkRules } from './validate-rules';

/** Faults of reading stand under this name beside those of the stages. */
export const READING_STAGE = 'read';

/** What an index keeps beside a vector; null is left out. */
const KEPT: JsonSchema = { type: ['string', 'number', 'boolean', 'null', 'array'], items: { type: 'string' } };

/**
 * Everything that is wrong with a definition; empty for a valid one. A stage that cannot accept what the one before it gives
 * is a fault that names both fields.
 *
 * Takes `unknown`, since a definition may come from a JSON file.
 */
export function validatePipeline(definition: unknown): Fault[] {
  const faults: Fault[] = [];
  pipelineShape(definition, '', faults);
  // The rest reads fields that must have their form.
  if (faults.length > 0) return faults;
  const pipeline = definition as PipelineDefinition;
  unique('stages', pipeline.stages, faults);
  unique('references', pipeline.references ?? [], faults);
  pipeline.stages.forEach((stage, i) => checkStage(stage, `stages[${i}]`, faults));
  checkSource(pipeline, faults);
  // Contracts are compared where each schema is sound by itself.
  if (faults.length > 0) return faults;
  const contracts = stageContracts(pipeline.source, pipeline.stages);
  checkContracts(pipeline, contracts, faults);
  checkRules(pipeline, contracts, faults);
  checkMonitors(pipeline, contracts, faults);
  checkRetrieval(pipeline, contracts, faults);
  return faults;
}

/** Throws one error that names every fault of the definition. */
export function assertValidPipeline(definition: unknown): asserts definition is PipelineDefinition {
  const faults = validatePipeline(definition);
  if (faults.length > 0) throw new Error(describePipelineFaults(faults));
}

/** The faults as one message, a line each. */
export function describePipelineFaults(faults: readonly Fault[]): string {
  const lines = faults.map((fault) => `  ${fault.path}: ${fault.message}`);
  return [`the pipeline has ${faults.length} fault${faults.length === 1 ? '' : 's'}:`, ...lines].join('\n');
}

function checkStage(stage: PipelineStage, path: string, faults: Fault[]): void {
  if (stage.name === READING_STAGE) {
    faults.push({
      path: `${path}.name`,
      message: `must not be "${READING_STAGE}", under which faults of reading are counted`,
    });
  }
  const { work } = stage;
  const bundled = work.function === undefined && work.glueJob === undefined;
  for (const side of ['input', 'output'] as const) {
    if (stage[side] !== undefined) checkRecordSchema(stage[side], `${path}.${side}`, faults);
    else if (!bundled) {
      const message = 'is required: what a function or Glue job takes and gives, its author alone knows';
      faults.push({ path: `${path}.${side}`, message });
    }
  }
  if (work.check?.dropUnknownFields && stage.input === undefined) {
    const message = 'needs the input of the stage, which says what fields are known';
    faults.push({ path: `${path}.work.check.dropUnknownFields`, message });
  }
  const { mostTokens = 256, overlapTokens = 0 } = work.chunk ?? {};
  if (overlapTokens > mostTokens / 2) {
    const message = `must be at most half of mostTokens (${mostTokens}), got ${overlapTokens}`;
    faults.push({ path: `${path}.work.chunk.overlapTokens`, message });
  }
  unique(`${path}.rules`, stage.rules ?? [], faults);
}

function checkSource({ source }: PipelineDefinition, faults: Fault[]): void {
  if (source?.endings !== undefined && source.format === undefined) {
    faults.push({ path: 'source.endings', message: 'needs source.format, which says what such files hold' });
  }
  if (source?.timeField !== undefined && source.format === RecordFormat.DOCUMENT) {
    faults.push({ path: 'source.timeField', message: 'must be left out: a document has no time' });
  }
}

function checkContracts(
  { source, stages }: PipelineDefinition,
  contracts: readonly StageContract[],
  faults: Fault[],
): void {
  contracts.forEach(({ input, output, needs, makes }, i) => {
    const path = `stages[${i}]`;
    const name = show(stages[i]!.name);
    if (needs) {
      report(`${path}.input`, mismatches(input, needs), faults, ({ accepted, given, reason }) => {
        return `must be what the bundled work of ${name} takes (its ${accepted.slice(1) || 'record'}): ${given.slice(1) || 'the record'}: ${reason}`;
      });
    }
    if (makes) {
      report(`${path}.output`, mismatches(makes, output), faults, ({ given, reason }) => {
        return `must take what the bundled work of ${name} makes (its ${given.slice(1) || 'record'}): ${reason}`;
      });
    }
    const before = i === 0 ? sourceSchema(source) : contracts[i - 1]!.output;
    if (!before) return;
    const giver = i === 0 ? 'the source' : `stages[${i - 1}] (${show(stages[i - 1]!.name)})`;
    report(`${path}.input`, mismatches(before, input), faults, ({ given, reason }) => {
      return `does not accept what ${giver} gives in its output${given}: ${reason}`;
    });
  });
}

function report(
  path: string,
  found: readonly Mismatch[],
  faults: Fault[],
  message: (mismatch: Mismatch) => string,
): void {
  for (const mismatch of found) faults.push({ path: `${path}${mismatch.accepted}`, message: message(mismatch) });
}

function checkMonitors(
  { source, stages, monitors }: PipelineDefinition,
  contracts: readonly StageContract[],
  faults: Fault[],
): void {
  const { minimumHistory = 14, season = 7 } = monitors ?? {};
  const least = leastHistory(minimumHistory, season);
  if (monitors?.history !== undefined && monitors.history < least) {
    const message = `must be at least ${least}, for a minimumHistory of ${minimumHistory} and a season of ${season}, got ${monitors.history}: nothing would be judged`;
    faults.push({ path: 'monitors.history', message });
  }
  if (monitors?.mostAgeSeconds !== undefined && source?.timeField === undefined) {
    faults.push({
      path: 'monitors.mostAgeSeconds',
      message: 'needs source.timeField, which says when a record happened',
    });
  }
  if (monitors?.mostCentroidDistance !== undefined && !stages.some(({ work }) => work.embed)) {
    faults.push({ path: 'monitors.mostCentroidDistance', message: 'needs an embed stage' });
  }
  mustBeGiven(monitors?.fields, 'monitors.fields', contracts, faults);
}

function checkRetrieval(pipeline: PipelineDefinition, contracts: readonly StageContract[], faults: Fault[]): void {
  const { stages, retrieval } = pipeline;
  if (!retrieval) return;
  const embed = lastEmbed(stages);
  if (!embed) faults.push({ path: 'retrieval', message: 'needs an embed stage, whose vectors it indexes' });
  const { dimensions } = embed?.work.embed ?? { dimensions: 0 };
  if (dimensions > INDEX_LIMITS.dimensions) {
    const message = `must be at most ${INDEX_LIMITS.dimensions}, which is what a vector index takes, got ${dimensions}: shorten the vectors with requestDimensions, or leave retrieval out`;
    faults.push({ path: `stages[${stages.indexOf(embed!)}].work.embed.dimensions`, message });
  }
  const needed = {
    type: 'object',
    properties: { id: { type: 'string', minLength: 1 }, embedding: { type: 'array', items: { type: 'number' } } },
    required: ['id', 'embedding'],
  } as const;
  report('retrieval', mismatches(contracts.at(-1)!.output, needed), faults, ({ given, reason }) => {
    return `needs id and embedding of each record; the last stage's output${given}: ${reason}`;
  });
  checkUniqueIds(pipeline, faults);
  mustBeGiven(retrieval.fields, 'retrieval.fields', contracts, faults);
  mustBeKept(retrievedFields(retrieval, contracts.at(-1)!.output), contracts.at(-1)!.output, faults);
  const kept = retrieval.fields ?? Object.keys(contracts.at(-1)!.output.properties ?? {});
  if (retrieval.goldenSet !== undefined && !kept.includes('uri')) {
    faults.push({
      path: 'retrieval.goldenSet',
      message: 'needs the field uri among retrieval.fields, by which pages are told apart',
    });
  }
}

function mustBeKept(fields: readonly string[], { properties = {} }: JsonSchema, faults: Fault[]): void {
  if (fields.length > INDEX_LIMITS.fields) {
    const message = `must be at most ${INDEX_LIMITS.fields}, which is what an index keeps beside a vector, got ${fields.length}`;
    faults.push({ path: 'retrieval.fields', message });
  }
  fields.forEach((field, i) => {
    const path = `retrieval.fields[${i}]`;
    if (field.length > INDEX_LIMITS.fieldNameCharacters) {
      const message = `must have a name of at most ${INDEX_LIMITS.fieldNameCharacters} characters, got ${show(field)}`;
      faults.push({ path, message });
    }
    const [mismatch] = mismatches(properties[field] ?? { type: 'null' }, KEPT);
    if (!mismatch) return;
    const message = `must be text, a number, true or false, or a list of texts by the last stage's output; ${show(field)}${mismatch.given}: ${mismatch.reason}`;
    faults.push({ path, message });
  });
}

function mustBeGiven(
  fields: readonly string[] | undefined,
  path: string,
  contracts: readonly StageContract[],
  faults: Fault[],
): void {
  const given = contracts.at(-1)?.output.properties ?? {};
  fields?.forEach((field, i) => {
    if (Object.hasOwn(given, field)) return;
    const known = Object.keys(given).map(show).join(', ') || 'none';
    faults.push({
      path: `${path}[${i}]`,
      message: `must be a field that the last stage's output describes (${known}), got ${show(field)}`,
    });
  });
}

function unique(list: string, entries: readonly { readonly name: string }[], faults: Fault[]): void {
  const names = entries.filter(isRecord).map(({ name }) => name);
  names.forEach((name, i) => {
    if (names.indexOf(name) < i)
      faults.push({ path: `${list}[${i}].name`, message: `must be unique, got ${show(name)} again` });
  });
}
