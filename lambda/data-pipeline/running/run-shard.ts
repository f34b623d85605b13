import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { FaultAction } from '../../../lib/policy';
import { canonical } from '../../../lib/policy/pipeline/schema-check';
import { SCAN_RULE } from '../reading/file-scan';
import { readRanges } from '../reading/read-shard';
import type { ShardPlan } from '../reading/shard-plan';
import type { InputFiles, ObjectStore } from '../storage';
import { type Item, PipelineStopped, type RunnableStage, runBatch } from './run-batch';
import { ShardOutput } from './shard-output';
import { READING, type ShardSummary } from './shard-summary';

/** Records that go through the stages together. */
const BATCH = 1000;

/** What a shard needs from outside. */
export interface ShardPorts {
  readonly files: InputFiles;
  readonly store: ObjectStore;
}

/**
 * Takes a shard through all stages. Its result is a function of the shard, the definition and the code alone; a shard that
 * was done before, in a run that was cut off, is not done again, unless a malware scan kept a file from it.
 *
 * @param staging prefix of the run's staging
 */
export async function runShard(
  shard: ShardPlan,
  pipeline: ResolvedPipeline,
  stages: readonly RunnableStage[],
  { files, store }: ShardPorts,
  staging: string,
): Promise<ShardSummary> {
  const key = summaryKey(staging, shard.index);
  const done = await store.get(key);
  if (done) {
    const summary = JSON.parse(done.toString('utf8')) as ShardSummary;
    // A file that was not clean may have been scanned anew.
    if (summary.faults[READING]?.[SCAN_RULE] === undefined) return summary;
  }
  const output = new ShardOutput(pipeline);
  // A fault of reading stops a run whose first stage stops on faults: what it would have been given is not there.
  const stops = pipeline.stages[0]!.onFault === FaultAction.STOP;
  let read = 0;
  let batch: Item[] = [];
  const flush = async () => {
    const items = await runBatch(stages, batch, output);
    batch = [];
    for (const item of items) output.publish(item);
  };
  for await (const records of readRanges(shard.ranges, pipeline.source, files)) {
    for (const source of records) {
      const ordinal = read++;
      if ('fault' in source) {
        const { place, fault } = source;
        if (stops)
          throw new PipelineStopped(
            `reading, rule "${fault.rule}": ${place.file} at byte ${place.offset} ${fault.reason}`,
          );
        output.unreadable(place, ordinal, fault.rule, fault.reason);
        continue;
      }
      batch.push({ record: source.record, place: source.place, ordinal, branch: '' });
      if (batch.length >= BATCH) await flush();
    }
  }
  await flush();
  const summary = await output.write(store, { index: shard.index, read });
  // Last, so that what it names is there.
  await store.put(key, canonical(summary));
  return summary;
}

/** Key of a shard's summary. */
export function summaryKey(staging: string, index: number): string {
  return `${staging}/shards/${String(index).padStart(8, '0')}.json`;
}
