import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { PipelineDefinition } from '../../lib/policy';
import { INCOMING_PREFIX, REFERENCES_PREFIX } from '../../lib/policy/pipeline/prefixes';
import { resolvePipeline, type ResolvedPipeline, type ResolvedWork } from '../../lib/policy/pipeline/pipeline-defaults';
import { Bucket } from '../aws/bucket';
import { Secret } from '../aws/secret';
import { awsService, callJson } from '../aws/service';
import { Table } from '../aws/table';
import { digestOf, sha256 } from '../data-pipeline/digest';
import {
  loadGoldenSet,
  loadReferences,
  type ReferenceFiles,
  type References,
} from '../data-pipeline/reading/references';
import { type EmbedQueries, queryEmbedderOf } from '../data-pipeline/retrieval/embed-queries';
import { legsOf } from '../data-pipeline/running/legs';
import { PipelineSteps, type StepPorts } from '../data-pipeline/running/steps';
import type { VersionPorts } from '../data-pipeline/versions/publish';
import { type Environment, requiredVariable } from '../security/environment';
import { BucketStore } from './bucket-store';
import { embeddingsAt } from './embedding-endpoint';
import { embeddingsBy } from './embedding-function';
import { lambdaCall } from './function-call';
import { LandingFiles } from './landing-files';
import { TablePointers } from './table-pointers';
import { FileSpill } from './file-spill';
import { VectorBucketIndexes } from './vector-bucket-indexes';

const SERVICE_TIMEOUT_MS = 30_000;
const FUNCTION_TIMEOUT_MS = 240_000;
const EMBEDDING_TIMEOUT_MS = 60_000;

/** Longer than the function that embeds may take. */
const EMBEDDING_FUNCTION_TIMEOUT_MS = 125_000;

type EmbedWork = Extract<ResolvedWork, { kind: 'embed' }>;

/** The pipeline that the construct has checked, from its layer. */
export function pipelineOf(environment: Environment): ResolvedPipeline {
  const file = environment.PIPELINE_FILE ?? '/opt/pipeline.json';
  return resolvePipeline(JSON.parse(readFileSync(file, 'utf8')) as PipelineDefinition);
}

/** Where the versions of the pipeline are. */
export function versionPorts(environment: Environment, pipeline: string): VersionPorts {
  const name = requiredVariable(environment, 'PIPELINE_BUCKET');
  const service = awsService(environment, 's3', SERVICE_TIMEOUT_MS);
  return {
    store: new BucketStore(new Bucket(service, name), service, name),
    pointers: new TablePointers(pointerTable(environment), pipeline),
  };
}

/** Which vector index of the pipeline answers. */
export function indexPointers(environment: Environment, pipeline: string): TablePointers {
  // No name of a pipeline has a slash.
  return new TablePointers(pointerTable(environment), `${pipeline}/index`);
}

function pointerTable(environment: Environment): Table {
  const service = awsService(environment, 'dynamodb', SERVICE_TIMEOUT_MS);
  return new Table(service, requiredVariable(environment, 'POINTER_TABLE'));
}

/** The files of a run: what has landed below a prefix, or what the pipeline's Glue job has written. */
export function runFiles(environment: Environment, prefix: string, isJobOutput: boolean): LandingFiles {
  const service = awsService(environment, 's3', SERVICE_TIMEOUT_MS);
  const bucket = requiredVariable(environment, isJobOutput ? 'PIPELINE_BUCKET' : 'LANDING_BUCKET');
  const isScanned = environment.LANDING_IS_SCANNED === 'true' && !isJobOutput && prefix === INCOMING_PREFIX;
  return new LandingFiles(new Bucket(service, bucket), service, bucket, prefix, isScanned);
}

/** The steps of runs, for each leg of the pipeline. */
export function pipelineSteps(environment: Environment): PipelineSteps[] {
  const pipeline = pipelineOf(environment);
  const { store, pointers } = versionPorts(environment, pipeline.name);
  const references = referenceFiles(environment);
  let sets: Promise<References> | undefined;
  const functions = JSON.parse(environment.FUNCTIONS ?? '{}') as Readonly<Record<string, string>>;
  const invoker = awsService(environment, 'lambda', FUNCTION_TIMEOUT_MS);
  const { COST_PER_GIGABYTE: cost } = environment;
  const ports: Omit<StepPorts, 'pipeline'> = {
    active: indexPointers(environment, pipeline.name),
    ...{ store, pointers, spill: new FileSpill(tmpdir()) },
    work: {
      embed: (work) => ({ embed: embedders(environment)(work), cache: store }),
      function: (name) => lambdaCall(invoker, requiredVariable(functions, name)),
    },
    code: digestOf({ bundle: sha256(readFileSync(fileURLToPath(import.meta.url))), functions }),
    ...(cost !== undefined && { costPerGigabyte: Number(cost) }),
    references: ({ areFresh }) => {
      if (areFresh || !sets) sets = loadReferences(pipeline, references);
      return sets;
    },
    golden: () => loadGoldenSet(pipeline, references),
  };
  return legsOf(pipeline).map((leg) => new PipelineSteps({ ...ports, pipeline: leg }));
}

/**
 * Starts a run of the pipeline's state machine.
 *
 * @returns the ARN of the execution
 */
export async function startRun(environment: Environment, input: object): Promise<string> {
  const service = awsService(environment, 'states', SERVICE_TIMEOUT_MS);
  const answer = await callJson(
    service,
    'AWSStepFunctions.StartExecution',
    { stateMachineArn: requiredVariable(environment, 'STATE_MACHINE'), input: JSON.stringify(input) },
    // Each is another execution.
    { isRepeatable: false },
  );
  return (answer as { readonly executionArn: string }).executionArn;
}

/** The vector indexes of the pipeline. */
export function vectorIndexes(environment: Environment, pipeline: ResolvedPipeline): VectorBucketIndexes {
  const service = awsService(environment, 's3vectors', SERVICE_TIMEOUT_MS);
  return new VectorBucketIndexes(
    service,
    requiredVariable(environment, 'VECTOR_BUCKET'),
    pipeline.retrieval?.fields ?? [],
  );
}

/** Embeds queries as the records of an index were, so that both lie in one space. */
export function queryEmbedder(environment: Environment, { name, stages }: ResolvedPipeline): EmbedQueries {
  const work = stages.find((stage) => stage.work.kind === 'embed')?.work;
  if (work?.kind !== 'embed') throw new Error(`the pipeline ${name} has no embed stage`);
  return queryEmbedderOf(work, embedders(environment));
}

/** Embeds texts as an embed stage does; where, and with which key, is found once. */
function embedders(environment: Environment): (work: EmbedWork) => (texts: readonly string[]) => Promise<number[][]> {
  const { EMBEDDING_KEY_SECRET: arn, EMBEDDING_FUNCTION: functionArn } = environment;
  if (functionArn !== undefined) {
    const caller = {
      tenant: requiredVariable(environment, 'EMBEDDING_TENANT'),
      priority: environment.EMBEDDING_PRIORITY === 'interactive' ? ('interactive' as const) : ('batch' as const),
    };
    const invoker = awsService(environment, 'lambda', EMBEDDING_FUNCTION_TIMEOUT_MS);
    return (work) => embeddingsBy(invoker, functionArn, caller, work);
  }
  const secret = arn ? new Secret(awsService(environment, 'secretsmanager', SERVICE_TIMEOUT_MS), arn) : undefined;
  const url = requiredVariable(environment, 'EMBEDDING_URL');
  const endpoint = { url, timeoutMs: EMBEDDING_TIMEOUT_MS, ...(secret && { key: () => secret.value() }) };
  return (work) => embeddingsAt(endpoint, work);
}

function referenceFiles(environment: Environment): ReferenceFiles {
  const files = runFiles(environment, REFERENCES_PREFIX, false);
  return {
    read: (name, from, to) => files.read(name, from, to),
    find: async (name) => (await files.list((candidate) => candidate === name))[0],
  };
}
