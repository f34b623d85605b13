import { timeOf } from '../../../lib/policy/pipeline/formats';
import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { ProfileBuilder } from '../monitors/profile';
import { type DataRecord, fieldOf } from '../reading/source-record';
import type { ObjectStore } from '../storage';
import { linesOfObject, putLines } from './line-object';
import { putProfile, type QuarantineEntry } from './shard-output';
import type { ShardSummary } from './shard-summary';
import { countsWithout, type Trail } from './stage-counts';
import { type Duplicate, duplicateOf } from './uniqueness';

/** What is taken out of a shard that is done. */
export interface Removal {
  /** Whether a record goes. */
  readonly isOut: (ordinal: number, branch: string) => boolean;
  /** The first stage whose counts a record that goes is taken out of; all of them where this is not said. */
  readonly countedFrom?: (ordinal: number, branch: string) => number;
  /** Whether an entry of the quarantine goes. */
  readonly isSettled: (entry: QuarantineEntry) => boolean;
  /** Entries that come to the quarantine. */
  readonly entries: readonly QuarantineEntry[];
}

/** The shard without its duplicates, which are in its quarantine in their place. */
export async function withoutDuplicates(
  summary: ShardSummary,
  duplicates: ReadonlyMap<number, readonly Duplicate[]>,
  pipeline: ResolvedPipeline,
  store: ObjectStore,
): Promise<ShardSummary> {
  const entries: QuarantineEntry[] = [];
  const stages = summary.stages.map((counts) => ({ ...counts }));
  const faults: Record<string, Record<string, number>> = structuredClone(summary.faults);
  for (const { stage, rule, ordinal, branch, place } of [...duplicates.values()].flat()) {
    const { name } = pipeline.stages[stage]!;
    const reason = 'has the key of an earlier record of the version';
    entries.push({ ...place, stage: name, rule, reason, branch, ordinal });
    stages[stage]!.out--;
    stages[stage]!.quarantined++;
    const rules = (faults[name] ??= {});
    rules[rule] = (rules[rule] ?? 0) + 1;
  }
  const removal = {
    isOut: (ordinal: number, branch: string) => duplicateOf(duplicates, ordinal, branch) !== undefined,
    countedFrom: (ordinal: number, branch: string) => duplicateOf(duplicates, ordinal, branch)!.stage + 1,
    isSettled: () => false,
    entries,
  };
  return withoutRecords({ ...summary, stages, faults }, removal, pipeline, store);
}

/** The shard without some of its records, which its stages count no more. Reads one shard into memory. */
export async function withoutRecords(
  summary: ShardSummary,
  { isOut: goes, countedFrom = () => 0, isSettled, entries }: Removal,
  pipeline: ResolvedPipeline,
  store: ObjectStore,
): Promise<ShardSummary> {
  const lines = await linesOfObject(store, summary.part);
  const origins = await linesOfObject(store, summary.origins);
  const gone: Trail[] = [];
  const kept = origins.map((line) => {
    // An origin ends with its numbers and a branch of digits and points, whatever the name of the file.
    const last = line.lastIndexOf(',');
    const ordinal = Number(line.slice(line.lastIndexOf(',', last - 1) + 1, last));
    const branch = line.slice(last + 2, -2);
    const isGone = goes(ordinal, branch);
    if (isGone) gone.push({ ordinal, branch, from: countedFrom(ordinal, branch), to: Infinity });
    return !isGone;
  });
  const keys = (await linesOfObject(store, summary.keys)).filter((line) => {
    const [, , , ordinal, branch] = line.split(' ', 5) as [string, string, string, string, string];
    return !goes(Number(ordinal), branch);
  });
  const before = (await linesOfObject(store, summary.quarantine)).map((line) => JSON.parse(line) as QuarantineEntry);
  const left: Trail[] = [];
  for (const entry of before) {
    const { ordinal, branch } = entry;
    // There is no stage of the name under which faults of reading stand.
    const to = pipeline.stages.findIndex(({ name }) => name === entry.stage);
    (isSettled(entry) ? gone : left).push({ ordinal, branch, from: 0, to });
  }
  const quarantine = [...before.filter((entry) => !isSettled(entry)), ...entries].sort((a, b) => a.ordinal - b.ordinal);
  const profile = new ProfileBuilder(pipeline);
  const part = lines.filter((_, i) => kept[i]);
  for (const line of part) {
    const record = JSON.parse(line) as DataRecord;
    profile.add(record, timeOf(fieldOf(record, pipeline.source.timeField ?? '')));
  }
  return {
    ...summary,
    stages: countsWithout(summary.stages, gone, left, pipeline),
    faulty: new Set(quarantine.map(({ ordinal }) => ordinal)).size,
    part: await putLines(store, part),
    origins: await putLines(
      store,
      origins.filter((_, i) => kept[i]),
    ),
    quarantine: await putLines(
      store,
      quarantine.map((entry) => JSON.stringify(entry)),
    ),
    keys: await putLines(store, keys),
    profile: await putProfile(store, profile.build()),
  };
}
