import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { RUNS_PREFIX } from '../../../lib/policy/pipeline/prefixes';
import { digestOf } from '../digest';
import { pinnedProfile, readHistory, writeHistory } from '../monitors/history';
import { type Finding, measure, watch } from '../monitors/watch';
import type { References } from '../reading/references';
import { formatOf, planShards, type ShardLimits, type ShardPlan } from '../reading/shard-plan';
import type { EmbedQueries } from '../retrieval/embed-queries';
import {
  fillAhead,
  type GoldenQuery,
  type IndexFilling,
  type IndexSwitch,
  switchIndex,
} from '../retrieval/switch-index';
import type { VectorIndexes } from '../retrieval/vector-index';
import { workerOf, type WorkPorts } from '../stages/bundled';
import { eachRecord, timed } from '../stages/work';
import type { InputFile, InputFiles, ObjectStore, PointerStore } from '../storage';
import { type Manifest, manifestBytes, versionOf } from '../versions/manifest';
import { isShown, type Publication, publish } from '../versions/publish';
import { publishedVersion } from '../versions/read-published';
import { retain } from '../versions/retain';
import { auditRun } from './finish-run';
import { asRedriven, planRedrive } from './redrive';
import { assertMatchesBase, heldForNothingNew } from './redrive-base';
import { publicationBefore, versionBefore } from './run-before';
import { isAside, joinLegs } from './legs';
import { PipelineStopped, prepareStages } from './run-batch';
import { mustCostAtMost, type RunRequest, timeOfRun } from './run-request';
import { runShard } from './run-shard';
import { linesOfObject, putLines } from './line-object';
import type { ShardSummary } from './shard-summary';
import { clearRunsBefore, manifestOf, type RunRecord, RunStaging } from './staging';
import type { Spill } from './uniqueness';

/** Shards that are copied for a Glue job at one time: each in memory. */
const PARALLEL_COPIES = 8;

const DAY_MS = 24 * 60 * 60 * 1000;

/** A run that is planned. It is small: what it names is in the store. */
export interface PlannedRun {
  /** Id of the run: the same for the same input, definition, code and time, so that one that was cut off goes on. */
  readonly run: string;
  /** Sequence number of the pointer when the run began. */
  readonly sequence: number;
  /** Key of the shards, JSON lines. */
  readonly plan: string;
  readonly shards: number;
  readonly bytes: number;
}

/** What an audit came to. */
export interface Audit {
  readonly version: string;
  readonly isHeld: boolean;
  /** Why it is held. */
  readonly held?: string;
  readonly faultRate: number;
  readonly counts: Manifest['counts'];
  readonly findings: readonly Finding[];
}

/** What the id of a run is made of. */
type Ingredients = Pick<Manifest, 'run' | 'definition' | 'code' | 'parents' | 'inputs' | 'references' | 'asOf'> &
  Pick<RunRequest, 'after'>;

/** What the steps need from outside. */
export interface StepPorts {
  /** The pipeline, or the leg of it that these steps are for ({@link legsOf}). */
  readonly pipeline: ResolvedPipeline;
  readonly store: ObjectStore;
  readonly pointers: PointerStore;
  /** Says which vector index answers. */
  readonly active: PointerStore;
  readonly spill: Spill;
  readonly work: WorkPorts;
  /** Digest of the code that runs. */
  readonly code: string;
  /** What the work on a gigabyte is expected to cost; undefined where nobody has said. */
  readonly costPerGigabyte?: number;
  /** Reads the references; those that were read before will do, unless they are to be fresh. */
  readonly references: (options: { readonly areFresh: boolean }) => Promise<References>;
  readonly golden: () => Promise<readonly GoldenQuery[]>;
  /** How large shards are; by default {@link SHARD_LIMITS}. */
  readonly shardLimits?: ShardLimits;
  /** What messages call the files of a run; by default "the files that have landed". */
  readonly filesAre?: string;
}

/** The files of a run. */
export interface RunFiles extends InputFiles {
  list(isWanted: (name: string) => boolean): Promise<InputFile[]>;
  expect(name: string, digest: string): void;
}

/** The steps of a run, which a state machine takes one after the other, each as often as it fails. */
export class PipelineSteps {
  public constructor(private readonly ports: StepPorts) {}

  /**
   * Finds the files, cuts them into shards and writes the plan. Reads no file.
   *
   * @throws where the run would cost more than it may, or there is nothing to redrive
   */
  public async plan(request: RunRequest, files: RunFiles): Promise<PlannedRun> {
    const { pipeline, store, pointers, code, shardLimits, costPerGigabyte } = this.ports;
    const sequence = (await pointers.current())?.sequence ?? 0;
    const asOf = request.asOf === undefined ? undefined : timeOfRun(request.asOf);
    const isAfterJob = pipeline.stages[0]!.work.kind === 'glueJob';
    const found = await files.list(
      (name) => formatOf(name, pipeline.source) !== undefined && !(isAfterJob && isAside(name)),
    );
    const inputs = await putLines(
      store,
      found.map((file) => JSON.stringify(file)),
    );
    const { digests: references } = await this.ports.references({ areFresh: true });
    const parents = request.redrive === undefined ? [] : [request.redrive];
    const { after } = request;
    const ingredients = {
      ...{ code, parents, inputs, references },
      ...(asOf !== undefined && { asOf }),
      ...(after !== undefined && { after }),
    };
    const run = this.idOf({ ...ingredients, definition: digestOf(pipeline) });
    const redrive = request.redrive === undefined ? undefined : await this.planRedrive(request.redrive, inputs.sha256);
    const shards = redrive?.shards ?? [...planShards(found, pipeline.source, shardLimits)];
    const bytes = redrive ? redrive.bytes : found.reduce((sum, file) => sum + file.bytes, 0);
    // What a job has written is of the run that was let through before the job.
    if (after === undefined) mustCostAtMost(request.mostCost, bytes, costPerGigabyte);
    const staging = this.staging(run);
    if (redrive) await staging.writeKept(redrive.kept);
    await staging.writeRecord({ ...ingredients, shards: shards.map(({ index }) => index) });
    await staging.letGo();
    const plan = `${RUNS_PREFIX}${run}/plan.jsonl`;
    await store.put(plan, shards.map((shard) => `${JSON.stringify(shard)}\n`).join(''));
    return { run, sequence, plan, shards: shards.length, bytes };
  }

  /**
   * Takes shards through the stages, each as it is asked of `plans`. One that is done is not done again, nor is any of a run
   * that another has published meanwhile.
   *
   * @returns how many source records were read, and how many seconds each stage worked
   * @throws PipelineStopped where a record stops the run, in these shards or in others before
   */
  public async shards(
    run: string,
    plans: Iterable<ShardPlan>,
    files: RunFiles,
  ): Promise<{ readonly read: number; readonly seconds: Readonly<Record<string, number>> }> {
    const { pipeline, store, work } = this.ports;
    const staging = this.staging(run);
    const record = await staging.recordOrNone();
    if (!record) {
      await this.auditBefore(run);
      return { read: 0, seconds: {} };
    }
    const { asOf, references: planned } = record;
    await staging.mustNotBeStopped();
    const sets = await this.plannedReferences(planned);
    const context = { references: sets, ...(asOf !== undefined && { asOf: Date.parse(asOf) }) };
    const seconds: Record<string, number> = {};
    const count = (stage: string, spent: number) => {
      seconds[stage] = (seconds[stage] ?? 0) + spent;
    };
    const stages = prepareStages(
      pipeline,
      (stage) =>
        // A Glue job has done its work before: its records pass as they are.
        stage.work.kind === 'glueJob' ? eachRecord(false, (record) => [record]) : workerOf(stage, work),
      context,
    ).map((stage) => ({ ...stage, worker: timed(stage.worker, (spent) => count(stage.stage.name, spent)) }));
    let read = 0;
    for (const plan of plans) {
      for (const { file, digest } of plan.ranges) files.expect(file, digest);
      try {
        read += (await runShard(plan, pipeline, stages, { files, store }, staging.folder)).read;
      } catch (error) {
        if (error instanceof PipelineStopped) await staging.stop(error.message);
        throw error;
      }
    }
    return { read, seconds };
  }

  /**
   * Audits what the shards gave, and says whether it may be published. A shard that failed holds the version back; of such a
   * version nothing is kept, since a redrive would publish it without what that shard has.
   *
   * @throws PipelineStopped where a record has stopped the run
   */
  public async audit(run: string): Promise<Audit> {
    const { pipeline, store, pointers, spill } = this.ports;
    const staging = this.staging(run);
    const record = await staging.recordOrNone();
    if (!record) return this.auditBefore(run);
    await staging.mustNotBeStopped();
    const summaries = await staging.summaries(record);
    const failed = record.shards.length - summaries.length;
    // Another at work on the same run has published it just now, and cleared its shards away.
    if (failed > 0 && !(await staging.recordOrNone())) return this.auditBefore(run);
    const kept = await staging.kept(record);
    const ran = record.parents.length > 0 ? summaries.map(asRedriven) : summaries;
    const audited = await auditRun([...kept, ...ran], { ...record, pipeline }, { store, spill });
    const { profile } = audited;
    const legs = await staging.legsBefore(record);
    const { manifest, faultRate } = legs.length > 0 ? joinLegs([...legs, audited], run) : audited;
    const bytes = manifestBytes(manifest);
    const version = versionOf(bytes);
    const { counts } = manifest;
    const fault = heldFor(failed, record, audited.held);
    const nothing = fault === undefined ? await heldForNothingNew(manifest, store) : undefined;
    if (nothing !== undefined) await staging.noteNothingCame();
    const held = fault ?? nothing;
    const measurements = measure(profile, counts);
    const pinned = await pinnedProfile(store);
    const { before: history, place } = await readHistory(store, pipeline.monitors.history, {
      ...{ version, parents: manifest.parents, pointers: await pointers.history() },
      ...(record.asOf !== undefined && { asOf: record.asOf }),
    });
    const findings = watch(profile, measurements, pipeline.monitors, {
      history,
      ...(pinned && { pinned }),
      ...(record.asOf !== undefined && { asOf: Date.parse(record.asOf) }),
    });
    if (failed === 0) await staging.writeManifest(bytes, held !== undefined);
    await staging.writeAudit({ version, measurements, profile, ...(place !== undefined && { place }) });
    return { version, isHeld: held !== undefined, ...(held !== undefined && { held }), faultRate, counts, findings };
  }

  /**
   * Audits a leg that a Glue job comes after, and writes its records where the job reads them: JSON lines, a file for each
   * shard. A job is given nothing of a leg that is held.
   *
   * @param prefix what the keys of the job's files begin with
   * @throws PipelineStopped where a record has stopped the run
   */
  public async handOver(run: string, prefix: string): Promise<Audit> {
    const { pipeline, store, spill } = this.ports;
    const staging = this.staging(run);
    const record = await staging.record();
    await staging.mustNotBeStopped();
    const summaries = await staging.summaries(record);
    const failed = record.shards.length - summaries.length;
    const audited = await auditRun(summaries, { ...record, pipeline }, { store, spill });
    const { manifest, faultRate } = audited;
    const held = heldFor(failed, record, audited.held);
    const before = await staging.legsBefore(record);
    const joined = before.length > 0 ? joinLegs([...before, audited], run).manifest : manifest;
    const bytes = manifestBytes(joined);
    if (held === undefined) {
      await this.giveJob(manifest.shards, prefix);
      await staging.writeLeg({ manifest, faultRate });
    } else if (failed === 0) {
      await staging.writeManifest(bytes, true);
    }
    const { counts } = joined;
    const version = versionOf(bytes);
    return {
      version,
      isHeld: held !== undefined,
      ...(held !== undefined && { held }),
      faultRate,
      counts,
      findings: [],
    };
  }

  /**
   * Makes the audited version the one that readers see, unless the pointer has moved since the run began.
   *
   * @param again whether a version that was rolled back from is published all the same
   */
  public async publish(run: string, sequence: number, again = false): Promise<Publication> {
    const { store, pointers } = this.ports;
    const staging = this.staging(run);
    const [manifest, audit] = [await staging.manifest(), await staging.audit()];
    if (!manifest || !audit) return publicationBefore(run, sequence, this.isOf(run), this.ports);
    const publication = await publish(manifest, sequence, { store, pointers }, again);
    const shown = isShown(publication) ? await pointers.current() : undefined;
    if (shown) {
      const { profile, ...audited } = audit;
      const { asOf } = manifest;
      await writeHistory(store, { ...audited, sequence: shown.sequence, ...(asOf !== undefined && { asOf }) }, profile);
    }
    return publication;
  }

  /** What the audit came to of a run that another has published and cleared away, which was at work on the same. */
  private async auditBefore(run: string): Promise<Audit> {
    const { version, manifest } = await versionBefore(run, this.isOf(run), this.ports);
    const { counts } = manifest;
    return { version, isHeld: false, faultRate: counts.faulty / counts.read, counts, findings: [] };
  }

  /**
   * Fills the vector index of a published version ahead of its switch, from where the last call came to.
   *
   * @param mayGoOn whether there is time for another part of the version
   */
  public async fill(version: string, indexes: VectorIndexes, mayGoOn: () => boolean): Promise<IndexFilling> {
    const { published, settings, ports } = await this.indexing(version, indexes);
    return fillAhead(published, settings, ports, mayGoOn);
  }

  /**
   * Fills the vector index of a published version, as far as that is not done, and lets it take over where it finds what the
   * golden set asks for.
   */
  public async index(version: string, indexes: VectorIndexes, embed: EmbedQueries): Promise<IndexSwitch> {
    const { published, settings, ports } = await this.indexing(version, indexes);
    return switchIndex(published, await this.ports.golden(), settings, { ...ports, embed });
  }

  /**
   * Clears away what the run has left, what others have left that are too old to go on, versions beyond those that are kept,
   * and objects that nothing names.
   *
   * @param now milliseconds since 1970
   */
  public async tidy(run: string, now = Date.now()): Promise<{ readonly gone: readonly string[] }> {
    const { pipeline, store, pointers } = this.ports;
    const { versions, quarantineDays } = pipeline.retention;
    await this.staging(run).clear();
    await clearRunsBefore(now - quarantineDays * DAY_MS, store);
    return { gone: await retain(versions, { store, pointers }, now) };
  }

  private async indexing(version: string, indexes: VectorIndexes) {
    const { pipeline, store, pointers, active } = this.ports;
    if (!pipeline.retrieval) throw new Error(`the pipeline ${pipeline.name} has no retrieval`);
    const published = await publishedVersion(version, { store, pointers });
    const shown = async () => (await pointers.current())?.version;
    return { published, settings: pipeline.retrieval, ports: { store, indexes, active, shown } };
  }

  private staging(run: string): RunStaging {
    return new RunStaging(run, this.ports.store);
  }

  /** Id of a run. What it is made of stands in the manifest of its version too, or the id itself does. */
  private idOf({ run, definition, code, parents, inputs, references, asOf, after }: Ingredients): string {
    const { shardLimits: limits } = this.ports;
    const ingredients = { pipeline: definition, code, parents, inputs, references };
    return run ?? digestOf({ ...ingredients, asOf, after, limits }).slice(0, 32);
  }

  private isOf(run: string) {
    return (manifest: Manifest) => this.idOf(manifest) === run;
  }

  private async giveJob(shards: readonly ShardSummary[], prefix: string): Promise<void> {
    const { store } = this.ports;
    const waiting = shards.filter(({ part }) => part.records > 0);
    for (let i = 0; i < waiting.length; i += PARALLEL_COPIES) {
      await Promise.all(
        waiting.slice(i, i + PARALLEL_COPIES).map(async ({ index, part }) => {
          const lines = await linesOfObject(store, part);
          await store.put(`${prefix}${String(index).padStart(8, '0')}.jsonl`, `${lines.join('\n')}\n`);
        }),
      );
    }
  }

  /** An instance may have read the references for a run before this one. */
  private async plannedReferences(planned: References['digests']): Promise<References['sets']> {
    for (const areFresh of [false, true]) {
      const { sets, digests } = await this.ports.references({ areFresh });
      if (digestOf(digests) === digestOf(planned)) return sets;
    }
    throw new Error('the references have changed since the run was planned: start another run');
  }

  private async planRedrive(version: string, inputs: string) {
    const { pipeline, store, filesAre = 'the files that have landed' } = this.ports;
    const base = await manifestOf(version, store);
    if (base.inputs.sha256 !== inputs) {
      throw new Error(`${filesAre} are not those of version ${version}; run the whole pipeline again`);
    }
    assertMatchesBase(version, base, pipeline);
    const { kept, shards, records } = await planRedrive(base, pipeline, store);
    if (records === 0) throw new Error(`version ${version} has no record in quarantine that can run again`);
    const ranges = shards.flatMap((shard) => shard.ranges);
    // A range of a redrive is one record, whose length is not known before it is read: at most all of its file.
    return {
      kept,
      shards,
      bytes: ranges.reduce((sum, { fileBytes }) => sum + Math.min(fileBytes, pipeline.source.mostRecordBytes), 0),
    };
  }
}

/** Why what was audited is held. */
function heldFor(failed: number, { shards, after }: RunRecord, fault: string | undefined): string | undefined {
  if (failed > 0) return `${failed} of ${shards.length} shards failed: start the run again`;
  return shards.length === 0 && after !== undefined ? 'the Glue job gave no record' : fault;
}
