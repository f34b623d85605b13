import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { SCAN_RULE } from '../reading/file-scan';
import { cutShards, SHARD_LIMITS, type ShardPlan, type ShardRange } from '../reading/shard-plan';
import type { InputFile, ObjectStore } from '../storage';
import type { Manifest } from '../versions/manifest';
import { linesOfObject } from './line-object';
import type { QuarantineEntry } from './shard-output';
import { READING, type ShardSummary } from './shard-summary';
import { withoutRecords } from './without-records';

/** What a redrive runs again, and what stays of the version before. */
export interface Redrive {
  /** Shards of the version, without what runs again. */
  readonly kept: readonly ShardSummary[];
  /** The quarantined source records. */
  readonly shards: readonly ShardPlan[];
  /** Source records that run again. */
  readonly records: number;
}

/** Source records that one shard runs again. */
const SHARD_RECORDS = 1000;

/**
 * Plans to run the quarantined source records of a version again, after a fix. What else such a record turned into is taken
 * out of the version, since it comes anew: a document of which one piece was at fault is replaced as a whole. Files that a
 * malware scan kept from being read stay in quarantine: what records they have was never known.
 *
 * @throws an error where a file is not what it was: then the whole pipeline has to run
 */
export async function planRedrive(
  manifest: Manifest,
  pipeline: ResolvedPipeline,
  store: ObjectStore,
): Promise<Redrive> {
  const files = new Map<string, InputFile>();
  for (const line of await linesOfObject(store, manifest.inputs)) {
    const file = JSON.parse(line) as InputFile;
    files.set(file.name, file);
  }
  const kept: ShardSummary[] = [];
  const ranges: ShardRange[] = [];
  for (const shard of manifest.shards) {
    const entries = (await linesOfObject(store, shard.quarantine)).map((line) => JSON.parse(line) as QuarantineEntry);
    const again = new Map(entries.filter((entry) => !isUnclean(entry)).map((entry) => [entry.ordinal, entry]));
    if (again.size === 0) {
      kept.push(shard);
      continue;
    }
    for (const { file, offset } of [...again.values()].sort((a, b) => a.ordinal - b.ordinal)) {
      const { digest, bytes } = files.get(file)!;
      // The line that begins at the offset is the only one of this range.
      ranges.push({ file, digest, fileBytes: bytes, from: offset, to: offset + 1 });
    }
    const removal = {
      isOut: (ordinal: number) => again.has(ordinal),
      isSettled: (entry: QuarantineEntry) => !isUnclean(entry),
      entries: [],
    };
    const rest = await withoutRecords(shard, removal, pipeline, store);
    const unclean = shard.faults[READING]?.[SCAN_RULE];
    const faults: ShardSummary['faults'] = unclean === undefined ? {} : { [READING]: { [SCAN_RULE]: unclean } };
    kept.push({ ...rest, faults, stages: rest.stages.map((counts) => ({ ...counts, quarantined: 0 })) });
  }
  const first = manifest.shards.reduce((last, { index }) => Math.max(last, index + 1), 0);
  const shards = [...cutShards(ranges, { ...SHARD_LIMITS, files: SHARD_RECORDS }, first)];
  return { kept, shards, records: ranges.length };
}

function isUnclean({ stage, rule }: QuarantineEntry): boolean {
  return stage === READING && rule === SCAN_RULE;
}

/** A redriven shard's records were read, and counted, in the version before. */
export function asRedriven(summary: ShardSummary): ShardSummary {
  return { ...summary, read: 0 };
}
