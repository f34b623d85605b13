import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { Place } from '../reading/source-record';
import type { ObjectStore } from '../storage';
import { KEY_DIGITS } from './rule-checks';
import { contentOf, linesIn } from './line-object';
import type { ShardSummary } from './shard-summary';

/** Room for what does not fit in memory: lists of lines by name, for the time of one run. */
export interface Spill {
  append(name: string, lines: readonly string[]): Promise<void>;
  /** Lines in the order in which they were appended; none for a name that is not there. */
  read(name: string): Promise<string[]>;
  clear(): Promise<void>;
}

/** A record that has the key of an earlier one. */
export interface Duplicate {
  readonly stage: number;
  readonly rule: string;
  readonly ordinal: number;
  readonly branch: string;
  readonly place: Place;
}

/** Keys that are held in memory at one time. */
const PARTITION_KEYS = 50_000;

/**
 * Finds the records whose key stands in an earlier record: of the whole version, in the memory of one partition of the keys.
 * Earlier is what comes first in the order of shards and records, so the answer is the same however many workers there were.
 *
 * A record that one rule has put out is not there for the rules after it, nor is what it turned into.
 *
 * @returns numbers of the shards that hold duplicates; the duplicates themselves are in the spill
 */
export async function findDuplicates(
  summaries: readonly ShardSummary[],
  { stages }: ResolvedPipeline,
  store: ObjectStore,
  spill: Spill,
): Promise<Set<number>> {
  const touched = new Set<number>();
  const total = summaries.reduce((sum, { keys }) => sum + keys.records, 0);
  const partitions = Math.max(1, Math.ceil(total / PARTITION_KEYS));
  for (const [stage, { rules }] of stages.entries()) {
    for (const [index, { name }] of rules.filter(({ unique }) => unique).entries()) {
      const prefix = `${stage} ${index} `;
      const bucket = `keys-${stage}-${index}`;
      await partition(summaries, prefix, bucket, partitions, touched, store, spill);
      for (let part = 0; part < partitions; part++) {
        await findIn(`${bucket}-${part}`, { stage, rule: name }, touched, spill);
      }
    }
  }
  return touched;
}

/** Sorts the keys of one rule into partitions by their hash, but for those of records that are out already. */
async function partition(
  summaries: readonly ShardSummary[],
  prefix: string,
  bucket: string,
  partitions: number,
  touched: ReadonlySet<number>,
  store: ObjectStore,
  spill: Spill,
): Promise<void> {
  for (const { index: shard, keys } of summaries) {
    if (keys.records === 0) continue;
    const out = touched.has(shard) ? await duplicatesOf(shard, spill) : undefined;
    const lists = Array.from({ length: partitions }, (): string[] => []);
    // One by one: an array of all would keep them until the last is sorted in.
    for (const line of linesIn(await contentOf(store, keys))) {
      if (!line.startsWith(prefix)) continue;
      const hash = line.slice(prefix.length, prefix.length + KEY_DIGITS);
      const rest = line.slice(prefix.length + KEY_DIGITS);
      if (out) {
        const [, ordinal, branch] = rest.split(' ', 3) as [string, string, string];
        if (duplicateOf(out, Number(ordinal), branch)) continue;
      }
      lists[parseInt(hash.slice(0, 8), 16) % partitions]!.push(`${hash} ${shard}${rest}`);
    }
    for (const [part, lines] of lists.entries()) if (lines.length > 0) await spill.append(`${bucket}-${part}`, lines);
  }
}

/** What stands behind the hash of a key. */
type KeyLine = [string, string, string, string, string, ...string[]];

async function findIn(
  name: string,
  rule: { readonly stage: number; readonly rule: string },
  touched: Set<number>,
  spill: Spill,
): Promise<void> {
  const seen = new Set<string>();
  const found = new Map<number, string[]>();
  for (const line of await spill.read(name)) {
    const hash = line.slice(0, KEY_DIGITS);
    if (!seen.has(hash)) {
      seen.add(hash);
      continue;
    }
    const [shard, ordinal, branch, offset, bytes, ...file] = line.slice(KEY_DIGITS + 1).split(' ') as KeyLine;
    const place = { file: JSON.parse(file.join(' ')) as string, offset: Number(offset), bytes: Number(bytes) };
    const duplicate: Duplicate = { ...rule, ordinal: Number(ordinal), branch, place };
    const list = found.get(Number(shard)) ?? [];
    list.push(JSON.stringify(duplicate));
    found.set(Number(shard), list);
  }
  for (const [shard, lines] of found) {
    touched.add(shard);
    await spill.append(`duplicates-${shard}`, lines);
  }
}

/** The duplicates of one shard, by the number of their source record. */
export async function duplicatesOf(shard: number, spill: Spill): Promise<Map<number, Duplicate[]>> {
  const byOrdinal = new Map<number, Duplicate[]>();
  for (const line of await spill.read(`duplicates-${shard}`)) {
    const duplicate = JSON.parse(line) as Duplicate;
    byOrdinal.set(duplicate.ordinal, [...(byOrdinal.get(duplicate.ordinal) ?? []), duplicate]);
  }
  return byOrdinal;
}

/** The duplicate that a record is, or was made of. */
export function duplicateOf(
  duplicates: ReadonlyMap<number, readonly Duplicate[]>,
  ordinal: number,
  branch: string,
): Duplicate | undefined {
  const list = duplicates.get(ordinal);
  return list?.find((duplicate) => branch === duplicate.branch || branch.startsWith(`${duplicate.branch}.`));
}
