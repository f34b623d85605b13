import { join } from 'node:path';
import { digestOf } from '../../lambda/data-pipeline/digest';
import { pinnedProfile, readHistory, writeHistory } from '../../lambda/data-pipeline/monitors/history';
import { type Finding, measure, watch } from '../../lambda/data-pipeline/monitors/watch';
import { loadGoldenSet, loadReferences } from '../../lambda/data-pipeline/reading/references';
import { formatOf, planShards, type ShardLimits, type ShardPlan } from '../../lambda/data-pipeline/reading/shard-plan';
import { ExactIndexes } from '../../lambda/data-pipeline/retrieval/exact-indexes';
import { type IndexSwitch, switchIndex } from '../../lambda/data-pipeline/retrieval/switch-index';
import { auditRun } from '../../lambda/data-pipeline/running/finish-run';
import { asRedriven, planRedrive } from '../../lambda/data-pipeline/running/redrive';
import { prepareStages } from '../../lambda/data-pipeline/running/run-batch';
import { runShard } from '../../lambda/data-pipeline/running/run-shard';
import { putLines } from '../../lambda/data-pipeline/running/shard-output';
import type { ShardSummary } from '../../lambda/data-pipeline/running/shard-summary';
import { workerOf } from '../../lambda/data-pipeline/stages/bundled';
import type { InputFile } from '../../lambda/data-pipeline/storage';
import {
  type Manifest,
  manifestBytes,
  type ObjectReference,
  versionOf,
} from '../../lambda/data-pipeline/versions/manifest';
import { type Publication, publish, readManifest, retain } from '../../lambda/data-pipeline/versions/publish';
import { progressBar, type ProgressOutput } from '../progress-bar';
import { inWords, UserError } from '../user-error';
import { codeDigest } from './code-digest';
import { FileSpill } from './file-spill';
import { InputDirectory } from './input-directory';
import { referenceFiles } from './reference-files';
import { openWorkspace, queryEmbedder, type Workspace, type WorkspaceOptions, workPorts } from './workspace';

/** A run from the command line. */
export interface RunOptions extends WorkspaceOptions {
  readonly input: string;
  /** The time that the run is for, ISO 8601. */
  readonly asOf?: string;
  /** A version whose quarantined records run again, in place of all input. */
  readonly redrive?: string;
  /** Digest of the code; that of this program and the functions where none is given. */
  readonly code?: string;
  readonly shardLimits?: ShardLimits;
}

/** What a run came to. */
export interface RunResult {
  readonly version: string;
  readonly manifest: Manifest;
  readonly publication?: Publication;
  /** Why the version was not published. */
  readonly held?: string;
  readonly faultRate: number;
  readonly findings: readonly Finding[];
  readonly index?: IndexSwitch;
  /** Versions that retention deleted. */
  readonly gone: readonly string[];
}

/**
 * Runs a pipeline on files, with the stage code that runs on AWS. A run that was cut off goes on where it was: what its shards
 * gave is kept in staging by the run's own digest.
 */
export async function runPipeline(options: RunOptions, output: ProgressOutput): Promise<RunResult> {
  const workspace = openWorkspace(options);
  const { pipeline, store, pointers } = workspace;
  const asOf = timeOfRun(options.asOf);
  const sequence = (await pointers.current())?.sequence ?? 0;
  const references = await inWords(loadReferences(pipeline, referenceFiles(workspace.referenceDirectory)));
  const golden = await inWords(loadGoldenSet(pipeline, referenceFiles(workspace.referenceDirectory)));
  const stages = prepareStages(pipeline.stages, (stage) => workerOf(stage, workPorts(workspace, options)), {
    references: references.sets,
    ...(asOf !== undefined && { asOf: asOf.getTime() }),
  });
  const files = new InputDirectory(options.input);
  const found = await files.list(
    (name) => formatOf(name, pipeline.source) !== undefined,
    progressBar('hashing', output),
  );
  const inputs = await putLines(
    store,
    found.map((file) => JSON.stringify(file)),
  );
  const work = await plan(options, workspace, found, inputs);
  const code = options.code ?? codeDigest(Object.values(options.functions ?? {}));
  const parents = options.redrive === undefined ? [] : [options.redrive];
  const ingredients = {
    pipeline,
    code,
    parents,
    inputs,
    references: references.digests,
    ...(asOf !== undefined && { asOf: asOf.toISOString() }),
  };
  const staging = `staging/${digestOf({ ...ingredients, pipeline: digestOf(pipeline), limits: options.shardLimits ?? null }).slice(0, 32)}`;
  const summaries: ShardSummary[] = [...work.kept];
  const progress = progressBar(pipeline.name, output);
  let bytes = 0;
  for (const shard of work.shards) {
    const summary = await runShard(shard, pipeline, stages, { files, store }, staging);
    summaries.push(options.redrive === undefined ? summary : asRedriven(summary));
    bytes += shard.ranges.reduce((sum, { from, to }) => sum + to - from, 0);
    progress(bytes / Math.max(1, work.bytes));
  }
  progress(1);
  const spill = new FileSpill(join(workspace.directory, staging, 'spill'));
  const { manifest, profile, held, faultRate } = await auditRun(summaries, ingredients, { store, spill });
  const version = versionOf(manifestBytes(manifest));
  const measurements = measure(profile, manifest.counts);
  const pinned = await pinnedProfile(store);
  const findings = watch(profile, measurements, pipeline.monitors, {
    history: await readHistory(store, pipeline.monitors.history, version),
    ...(pinned && { pinned }),
    ...(asOf !== undefined && { asOf: asOf.getTime() }),
  });
  if (held !== undefined) {
    await store.put(`${staging}/held.json`, manifestBytes(manifest));
    return { version, manifest, held, faultRate, findings, gone: [] };
  }
  const publication = await publish(manifest, sequence, workspace);
  // Also where nothing has changed: the run that published it may have been cut off just here.
  const shown = publication.outcome === 'overtaken' ? undefined : await pointers.current();
  if (shown) await writeHistory(store, { sequence: shown.sequence, version }, measurements, profile);
  const index =
    publication.outcome === 'overtaken'
      ? undefined
      : await fillIndex(workspace, options, { version, manifest }, golden);
  for await (const key of store.list(`${staging}/`)) await store.delete(key);
  const gone = await retain(pipeline.retention.versions, workspace);
  return { version, manifest, publication, faultRate, findings, gone, ...(index && { index }) };
}

interface Work {
  readonly kept: readonly ShardSummary[];
  readonly shards: Iterable<ShardPlan>;
  readonly bytes: number;
}

async function plan(
  { redrive, shardLimits, input }: RunOptions,
  { pipeline, store }: Workspace,
  files: readonly InputFile[],
  inputs: ObjectReference,
): Promise<Work> {
  if (redrive === undefined) {
    return {
      kept: [],
      shards: planShards(files, pipeline.source, shardLimits),
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    };
  }
  const base = await manifestOf(redrive, store);
  if (base.inputs.sha256 !== inputs.sha256) {
    throw new UserError(`the files in ${input} are not those of version ${redrive}; run the whole pipeline again`);
  }
  const { kept, shards, records } = await planRedrive(base, pipeline, store);
  if (records === 0) throw new UserError(`version ${redrive} has no record in quarantine`);
  return { kept, shards, bytes: shards.flatMap(({ ranges }) => ranges).length };
}

/** A published version, or one that was held back for its faults. */
export async function manifestOf(version: string, store: Workspace['store']): Promise<Manifest> {
  for await (const key of store.list('staging/')) {
    if (!key.endsWith('/held.json')) continue;
    const held = (await store.get(key))!;
    if (versionOf(held) === version) return JSON.parse(held.toString('utf8')) as Manifest;
  }
  return readManifest(version, store).catch((error: unknown) => {
    throw new UserError((error as Error).message);
  });
}

async function fillIndex(
  workspace: Workspace,
  options: RunOptions,
  published: { readonly version: string; readonly manifest: Manifest },
  golden: Awaited<ReturnType<typeof loadGoldenSet>>,
): Promise<IndexSwitch | undefined> {
  const { store, pipeline } = workspace;
  if (!pipeline.retrieval) return undefined;
  const embed = queryEmbedder(workspace, options);
  return switchIndex(published, golden, pipeline.retrieval, { store, indexes: new ExactIndexes(store), embed });
}

function timeOfRun(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  if (Number.isNaN(time.getTime()))
    throw new UserError(`--as-of must be a time such as 2026-11-24T00:00:00Z, got ${text}`);
  return time;
}
