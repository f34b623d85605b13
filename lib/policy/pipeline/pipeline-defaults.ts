import {
  FaultAction,
  type PipelineDefinition,
  type PipelineSource,
  type PipelineStage,
  RecordFormat,
} from './definition';
import type { JsonSchema } from './json-schema';
import type { PipelineMonitors } from './monitors';
import { type RetentionSettings, type RetrievalSettings, VectorDistance } from './publishing';
import type { StageRule } from './rules';
import { type StageContract, stageContracts } from './stage-contracts';
import {
  type CheckSettings,
  type ChunkSettings,
  type EmbedSettings,
  type FunctionSettings,
  type GlueJobSettings,
  type NormaliseSettings,
  type ParseSettings,
  PersonalData,
  type RedactSettings,
  UnicodeForm,
} from './stage-work';

/** What does a stage's work, with every default filled in. */
export type ResolvedWork =
  | ({ readonly kind: 'check' } & Required<CheckSettings>)
  | ({ readonly kind: 'parse' } & Required<ParseSettings>)
  | ({ readonly kind: 'normalise' } & Required<NormaliseSettings>)
  | ({ readonly kind: 'chunk' } & Required<ChunkSettings>)
  | ({ readonly kind: 'redact' } & Required<RedactSettings>)
  | ({ readonly kind: 'embed' } & Required<EmbedSettings>)
  | ({ readonly kind: 'function' } & Required<FunctionSettings>)
  | ({ readonly kind: 'glueJob' } & GlueJobSettings);

/** A stage with every default filled in. */
export interface ResolvedStage {
  readonly name: string;
  readonly work: ResolvedWork;
  readonly contract: StageContract;
  readonly rules: readonly StageRule[];
  readonly onFault: FaultAction;
}

/** A source with every default filled in. */
export type ResolvedSource = PipelineSource & Required<Pick<PipelineSource, 'mostRecordBytes'>>;

/** Monitors with every default filled in. */
export type ResolvedMonitors = PipelineMonitors & Required<Omit<PipelineMonitors, 'mostAgeSeconds'>>;

/** Retrieval with every default filled in. */
export type ResolvedRetrieval = RetrievalSettings &
  Required<Omit<RetrievalSettings, 'goldenSet'>> & {
    /** Length of the vectors: what the last embed stage gives. */
    readonly dimensions: number;
  };

/** The definition with every default filled in: what the handlers and the local run obey. */
export interface ResolvedPipeline {
  readonly name: string;
  readonly source: ResolvedSource;
  readonly stages: readonly ResolvedStage[];
  readonly references: NonNullable<PipelineDefinition['references']>;
  readonly mostFaultRate: number;
  readonly monitors: ResolvedMonitors;
  readonly retention: Required<RetentionSettings>;
  readonly retrieval?: ResolvedRetrieval;
}

/** Endings of the names of files, by what such files hold. */
export const ENDINGS: Readonly<Record<RecordFormat, readonly string[]>> = {
  [RecordFormat.JSON_LINES]: ['.jsonl', '.ndjson'],
  [RecordFormat.CSV]: ['.csv'],
  [RecordFormat.DOCUMENT]: ['.md', '.markdown', '.txt'],
};

/** Fields that a vector index keeps where the definition names none, as far as the last stage gives them. */
const RETRIEVED = ['uri', 'title', 'heading', 'text'];

/** The stage whose vectors the records of the last stage have. */
export function lastEmbed(stages: readonly PipelineStage[]): PipelineStage | undefined {
  return stages.findLast(({ work }) => work.embed);
}

/**
 * The fields that a vector index keeps.
 *
 * @param last what the last stage gives
 */
export function retrievedFields({ fields }: RetrievalSettings, last: JsonSchema): string[] {
  return fields ?? RETRIEVED.filter((name) => Object.hasOwn(last.properties ?? {}, name));
}

/** Fills in the defaults of a valid definition. */
export function resolvePipeline(definition: PipelineDefinition): ResolvedPipeline {
  const contracts = stageContracts(definition.source, definition.stages);
  const { minimumHistory = 14, season = 7 } = definition.monitors ?? {};
  return {
    name: definition.name,
    source: { mostRecordBytes: 1_048_576, ...definition.source },
    stages: definition.stages.map((stage, i) => resolveStage(stage, contracts[i]!)),
    references: definition.references ?? [],
    mostFaultRate: definition.mostFaultRate ?? 0.01,
    monitors: {
      minimumHistory,
      history: Math.max(56, leastHistory(minimumHistory, season)),
      season,
      mostDeviations: 4,
      fields: [],
      mostPsi: 0.25,
      mostCentroidDistance: 0.1,
      ...definition.monitors,
    },
    retention: { versions: 10, quarantineDays: 30, cacheDays: 90, ...definition.retention },
    ...(definition.retrieval && {
      retrieval: {
        leastRecall: 0.9,
        results: 10,
        distance: VectorDistance.COSINE,
        ...definition.retrieval,
        fields: retrievedFields(definition.retrieval, contracts.at(-1)!.output),
        dimensions: lastEmbed(definition.stages)!.work.embed!.dimensions,
      },
    }),
  };
}

/** Versions without which nothing is judged: a season before each of three misses, which say what is usual. */
export function leastHistory(minimumHistory: number, season: number): number {
  return Math.max(minimumHistory, season + 3);
}

function resolveStage(stage: PipelineStage, contract: StageContract): ResolvedStage {
  return {
    name: stage.name,
    work: resolveWork(stage),
    contract,
    rules: stage.rules ?? [],
    onFault: stage.onFault ?? FaultAction.QUARANTINE,
  };
}

function resolveWork({ name, work }: PipelineStage): ResolvedWork {
  const { check, parse, normalise, chunk, redact, embed, glueJob } = work;
  if (check) return { kind: 'check', dropUnknownFields: false, ...check };
  if (parse) return { kind: 'parse', frontMatter: true, ...parse };
  if (normalise)
    return { kind: 'normalise', fields: ['text'], unicode: UnicodeForm.NFC, boilerplate: [], ...normalise };
  if (chunk) {
    const mostTokens = chunk.mostTokens ?? 256;
    return { kind: 'chunk', overlapTokens: Math.min(32, Math.floor(mostTokens / 2)), ...chunk, mostTokens };
  }
  if (redact) return { kind: 'redact', fields: ['text'], kinds: Object.values(PersonalData), ...redact };
  if (embed) {
    const defaults = {
      requestDimensions: false,
      field: 'text',
      context: ['heading'],
      batchSize: 32,
      parallelCalls: 2,
      attempts: 5,
    };
    return { kind: 'embed', ...defaults, ...embed };
  }
  if (work.function) return { kind: 'function', batchSize: 100, ...work.function };
  if (glueJob) return { kind: 'glueJob', ...glueJob };
  throw new Error(`the stage "${name}" has no work`);
}
