import { RecordFormat } from '../../../lib/policy';
import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { digestOf } from '../digest';
import type { Handover, Manifest } from '../versions/manifest';
import { addUp } from './finish-run';
import type { ShardSummary } from './shard-summary';

/** A leg that has been audited: what it gave, and how much of what it read was at fault. */
export interface LegAudit {
  readonly manifest: Manifest;
  readonly faultRate: number;
}

/**
 * The parts of a pipeline between which Glue jobs work: each but the first begins with a job's stage, whose work is done
 * when the leg begins. It reads what the job has written, JSON lines, and holds it to the stage's output and rules. Where
 * the first stage is a job, there is no leg before it. An index is filled with what the last one gives.
 */
export function legsOf(pipeline: ResolvedPipeline): ResolvedPipeline[] {
  const legs: ResolvedPipeline['stages'][number][][] = [];
  for (const stage of pipeline.stages) {
    const last = legs.at(-1);
    if (stage.work.kind !== 'glueJob' && last) last.push(stage);
    else legs.push([stage]);
  }
  const { retrieval: _, ...unindexed } = pipeline;
  return legs.map(([first, ...stages], i) => {
    const whole = i === legs.length - 1 ? pipeline : unindexed;
    if (first!.work.kind !== 'glueJob') return { ...whole, stages: [first!, ...stages] };
    const { output } = first!.contract;
    return {
      ...whole,
      source: { ...pipeline.source, format: RecordFormat.JSON_LINES, endings: [''] },
      stages: [{ ...first!, contract: { ...first!.contract, input: output } }, ...stages],
    };
  });
}

/**
 * Sees that no redrive goes through a Glue job: what it made of which record, it does not say.
 *
 * @throws an error that says what to do instead
 */
export function assertRedrivable({ name, stages }: ResolvedPipeline): void {
  const job = stages.find(({ work }) => work.kind === 'glueJob');
  if (!job) return;
  throw new Error(
    `the pipeline ${name} cannot redrive: what the Glue job of its stage "${job.name}" made of which record is not known; start a run`,
  );
}

/** Whether a job has written a file for itself, such as `_SUCCESS`: Hadoop's readers pass over such names, too. */
export function isAside(name: string): boolean {
  return /^[._]/.test(name.slice(name.lastIndexOf('/') + 1));
}

/**
 * A version whose records come from the last leg, and whose counts, stages and quarantine are those of all. What each leg
 * read is judged by itself: of the worst one the version has its fault rate.
 *
 * @param legs in their order
 * @param run id of the run of the last leg
 */
export function joinLegs(legs: readonly LegAudit[], run: string): LegAudit {
  const manifests = legs.map(({ manifest }) => manifest);
  const [first] = manifests;
  const last = manifests.at(-1)!;
  const sum = (of: (manifest: Manifest) => number) => manifests.reduce((total, manifest) => total + of(manifest), 0);
  const embedding = manifests.map((manifest) => manifest.embedding).findLast(Boolean);
  const stages = manifests.flatMap((manifest) => manifest.stages);
  const joined: Manifest = {
    ...last,
    definition: digestOf(manifests.map(({ definition }) => definition)),
    inputs: first!.inputs,
    run,
    handovers: manifests.slice(1).map(({ inputs }, i) => handoverOf(manifests[i]!, inputs)),
    counts: {
      read: first!.counts.read,
      published: last.counts.published,
      quarantined: sum(({ counts }) => counts.quarantined),
      faulty: sum(({ counts }) => counts.faulty),
    },
    reading: addUp(manifests.map(({ reading }) => reading)),
    stages,
    ...(embedding && { embedding }),
    shards: joinShards(manifests, stages.length),
  };
  return { manifest: joined, faultRate: Math.max(...legs.map(({ faultRate }) => faultRate)) };
}

function handoverOf({ shards }: Manifest, taken: Handover['taken']): Handover {
  return { given: shards.map(({ part, origins, keys }) => ({ part, origins, keys })), taken };
}

/** Shards of all legs, numbered through. Only those of the last leg have records. */
function joinShards(manifests: readonly Manifest[], stages: number): ShardSummary[] {
  const none = { in: 0, out: 0, quarantined: 0, found: {} };
  let index = 0;
  let before = 0;
  return manifests.flatMap((manifest, leg) => {
    const isLast = leg === manifests.length - 1;
    const after = stages - before - manifest.stages.length;
    const shards = manifest.shards.map((shard): ShardSummary => ({
      ...shard,
      index: index++,
      read: leg === 0 ? shard.read : 0,
      stages: [
        ...Array.from({ length: before }, () => none),
        ...shard.stages,
        ...Array.from({ length: after }, () => none),
      ],
      ...(!isLast && { part: NOTHING, origins: NOTHING, keys: NOTHING }),
    }));
    before += manifest.stages.length;
    return shards;
  });
}

/** A reference to no lines, which is never followed. */
const NOTHING = { sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', bytes: 0, records: 0 };
