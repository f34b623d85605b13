import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PipelineDefinition } from '../../lib/policy';
import { resolvePipeline, type ResolvedPipeline, type ResolvedWork } from '../../lib/policy/pipeline/pipeline-defaults';
import { describePipelineFaults, validatePipeline } from '../../lib/policy/pipeline/validate-pipeline';
import { type EmbedQueries, queryEmbedderOf } from '../../lambda/data-pipeline/retrieval/embed-queries';
import type { WorkPorts } from '../../lambda/data-pipeline/stages/bundled';
import { embeddingsAt } from '../../lambda/pipeline-store/embedding-endpoint';
import { UserError } from '../user-error';
import { FilePointers } from './file-pointers';
import { FileStore } from './file-store';
import { loadFunctions } from './local-functions';

/** A laptop may embed slowly, and nothing waits for it but its user. */
const EMBEDDING_TIMEOUT_MS = 120_000;

/** What the commands of a pipeline have in common. */
export interface WorkspaceOptions {
  readonly config: string;
  /** Directory of versions and staging. */
  readonly output: string;
  readonly references?: string;
  readonly endpoint?: string;
  readonly key?: string;
  /** Files of the user's functions, by name. */
  readonly functions?: Readonly<Record<string, string>>;
}

/** A pipeline and where its versions are kept. */
export interface Workspace {
  readonly pipeline: ResolvedPipeline;
  readonly store: FileStore;
  readonly pointers: FilePointers;
  /** Which vector index answers. */
  readonly active: FilePointers;
  readonly directory: string;
  readonly referenceDirectory: string;
}

/**
 * Reads a pipeline's definition and opens its versions, kept below the output by the pipeline's name.
 *
 * @throws UserError that names every fault
 */
export function openWorkspace({
  config,
  output,
  references,
}: Pick<WorkspaceOptions, 'config' | 'output' | 'references'>): Workspace {
  const document = readJson(config);
  const faults = validatePipeline(document);
  if (faults.length > 0) throw new UserError(`${config}: ${describePipelineFaults(faults)}`);
  const pipeline = resolvePipeline(document as PipelineDefinition);
  const directory = join(output, pipeline.name);
  return {
    pipeline,
    store: new FileStore(directory),
    pointers: new FilePointers(directory),
    active: new FilePointers(join(directory, 'indexes')),
    directory,
    referenceDirectory: references ?? dirname(config),
  };
}

/**
 * What stages need from outside: the endpoint, and functions as modules with a `handler`.
 *
 * @throws UserError that names the flag which a stage lacks
 */
export async function workPorts({ pipeline, store }: Workspace, options: WorkspaceOptions): Promise<WorkPorts> {
  const { endpoint, key, functions = {} } = options;
  for (const { name, work } of pipeline.stages) {
    if (work.kind === 'function' && functions[work.name] === undefined) {
      throw new UserError(`the stage "${name}" needs --function ${work.name}=FILE`);
    }
    if (work.kind === 'embed' && endpoint === undefined) {
      throw new UserError(`the stage "${name}" needs --endpoint URL, where the model ${work.model} is served`);
    }
  }
  const loaded = await loadFunctions(functions);
  return {
    ...(endpoint !== undefined && { embed: (work) => ({ embed: embedderAt(endpoint, key, work), cache: store }) }),
    function: (name) => loaded.get(name)!,
  };
}

/** The vectors of queries, at the endpoint of the pipeline's embed stage, by the model that the index was made with. */
export function queryEmbedder(
  { pipeline }: Workspace,
  { endpoint, key }: Pick<WorkspaceOptions, 'endpoint' | 'key'>,
): EmbedQueries {
  const work = pipeline.stages.find((stage) => stage.work.kind === 'embed')?.work;
  if (work?.kind !== 'embed') throw new UserError('the pipeline has no embed stage');
  if (endpoint === undefined) throw new UserError(`--endpoint URL is needed, where the model ${work.model} is served`);
  return queryEmbedderOf(work, (asked) => embedderAt(endpoint, key, asked));
}

function embedderAt(url: string, key: string | undefined, work: Extract<ResolvedWork, { kind: 'embed' }>) {
  const endpoint = {
    url,
    timeoutMs: EMBEDDING_TIMEOUT_MS,
    hint: 'is it running? npm start',
    ...(key !== undefined && { key: () => Promise.resolve(key) }),
  };
  return embeddingsAt(endpoint, work);
}

function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read the pipeline ${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`the pipeline ${file} is not valid JSON: ${(error as Error).message.replace(/\s+/g, ' ')}`);
  }
}
