import { join } from 'node:path';
import { timeOf } from '../../lib/policy/pipeline/formats';
import type { ResolvedPipeline } from '../../lib/policy/pipeline/pipeline-defaults';
import type { Finding } from '../../lambda/data-pipeline/monitors/watch';
import { loadGoldenSet, loadReferences } from '../../lambda/data-pipeline/reading/references';
import type { ShardLimits, ShardPlan } from '../../lambda/data-pipeline/reading/shard-plan';
import { ExactIndexes } from '../../lambda/data-pipeline/retrieval/exact-indexes';
import type { IndexSwitch } from '../../lambda/data-pipeline/retrieval/switch-index';
import { prepareStages } from '../../lambda/data-pipeline/running/run-batch';
import { manifestOf } from '../../lambda/data-pipeline/running/staging';
import { type PlannedRun, PipelineSteps } from '../../lambda/data-pipeline/running/steps';
import { workerOf } from '../../lambda/data-pipeline/stages/bundled';
import type { Manifest } from '../../lambda/data-pipeline/versions/manifest';
import { isShown, type Publication } from '../../lambda/data-pipeline/versions/publish';
import { FileSpill } from '../../lambda/pipeline-store/file-spill';
import { progressBar, type ProgressOutput } from '../progress-bar';
import { inWords, UserError } from '../user-error';
import { codeDigest } from './code-digest';
import type { FileStore } from './file-store';
import { InputDirectory } from './input-directory';
import { referenceFiles } from './reference-files';
import { openWorkspace, queryEmbedder, type WorkspaceOptions, workPorts } from './workspace';

/** A run from the command line. */
export interface RunOptions extends WorkspaceOptions {
  readonly input: string;
  /** The time that the run is for, a `date-time` of RFC 3339. */
  readonly asOf?: string;
  /** A version whose quarantined records run again, in place of all input. */
  readonly redrive?: string;
  /** Whether a version that was rolled back from is published all the same. */
  readonly again?: boolean;
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
  /** Files of the input whose endings are not read. */
  readonly passedOver: number;
}

/**
 * Runs a pipeline on files: the steps that the state machine takes on AWS, one after the other. A run that was cut off goes on
 * where it was: what its shards gave is kept in staging by the run's own digest.
 */
export async function runPipeline(options: RunOptions, output: ProgressOutput): Promise<RunResult> {
  const workspace = openWorkspace(options);
  const { pipeline, store, directory } = workspace;
  const asOf = timeOfRun(options.asOf, pipeline);
  const files = referenceFiles(workspace.referenceDirectory);
  const references = await inWords(loadReferences(pipeline, files));
  const golden = await inWords(loadGoldenSet(pipeline, files));
  const work = await workPorts(workspace, options);
  // What a stage lacks is said before anything is read.
  const context = { references: references.sets, ...(asOf !== undefined && { asOf }) };
  prepareStages(pipeline, (stage) => workerOf(stage, work), context);
  const steps = new PipelineSteps({
    ...{ pipeline, store, work },
    pointers: workspace.pointers,
    active: workspace.active,
    spill: new FileSpill(join(directory, 'spill')),
    code: options.code ?? codeDigest(options.functions ?? {}),
    references: () => Promise.resolve(references),
    golden: () => Promise.resolve(golden),
    filesAre: `the files in ${options.input}`,
    ...(options.shardLimits && { shardLimits: options.shardLimits }),
  });
  const input = new InputDirectory(options.input, progressBar('hashing', output));
  const { redrive } = options;
  const request = {
    ...(asOf !== undefined && { asOf: new Date(asOf).toISOString() }),
    ...(redrive !== undefined && { redrive }),
  };
  const planned = await inWords(steps.plan(request, input));
  const { run } = planned;
  const { passedOver } = input;
  try {
    const shards = withProgress(await shardsOf(planned, store), progressBar(pipeline.name, output));
    await steps.shards(run, shards, input);
  } finally {
    await store.delete(planned.plan);
  }
  const { version, held, faultRate, findings } = await steps.audit(run);
  if (held !== undefined) {
    return { version, manifest: await manifestOf(version, store), held, faultRate, findings, gone: [], passedOver };
  }
  const publication = await steps.publish(run, planned.sequence, options.again);
  const manifest = await manifestOf(version, store);
  // What the run has made is kept: it may be asked again to publish it.
  if (publication.outcome === 'rolledBack')
    return { version, manifest, publication, faultRate, findings, gone: [], passedOver };
  const index =
    isShown(publication) && pipeline.retrieval
      ? await steps.index(version, new ExactIndexes(store), queryEmbedder(workspace, options))
      : undefined;
  const { gone } = await steps.tidy(run);
  return { version, manifest, publication, faultRate, findings, gone, passedOver, ...(index && { index }) };
}

/** The shards of a plan. Where another at work on the same run has ended, and taken the plan with it, they are done. */
async function shardsOf({ plan }: PlannedRun, store: FileStore): Promise<ShardPlan[]> {
  const lines = ((await store.get(plan))?.toString('utf8') ?? '').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as ShardPlan);
}

/** Each shard is asked for when the one before is done. */
function* withProgress(shards: readonly ShardPlan[], progress: (share: number) => void): Generator<ShardPlan> {
  const size = ({ ranges }: ShardPlan) => ranges.reduce((sum, { from, to }) => sum + to - from, 0);
  const total = shards.reduce((sum, shard) => sum + size(shard), 0);
  let done = 0;
  for (const shard of shards) {
    yield shard;
    done += size(shard);
    progress(done / Math.max(1, total));
  }
  progress(1);
}

function timeOfRun(text: string | undefined, { stages }: ResolvedPipeline): number | undefined {
  if (text === undefined) {
    const rule = stages.flatMap(({ rules }) => rules).find(({ time }) => time !== undefined);
    if (rule) throw new UserError(`the rule "${rule.name}" needs the time that the run is for: give --as-of TIME`);
    return undefined;
  }
  const time = timeOf(text);
  if (time === undefined) throw new UserError(`--as-of must be a time such as 2026-11-24T00:00:00Z, got ${text}`);
  return time;
}
