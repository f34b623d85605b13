import { RecordFormat } from '../../../lib/policy';
import { ENDINGS, type ResolvedSource } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { InputFile } from '../storage';

/** A part of a file. The lines that begin in it belong to it. */
export interface ShardRange {
  readonly file: string;
  readonly digest: string;
  readonly fileBytes: number;
  readonly from: number;
  readonly to: number;
}

/** What one worker reads: parts of files, in order. */
export interface ShardPlan {
  readonly index: number;
  readonly ranges: readonly ShardRange[];
}

/** A shard is small enough for its output to be held in memory, and large enough to be worth a call. */
export interface ShardLimits {
  readonly bytes: number;
  readonly files: number;
}

/** With vectors, 4 MiB of text make some 50 MB of output. */
export const SHARD_LIMITS: ShardLimits = { bytes: 4 * 1024 * 1024, files: 200 };

/** Endings of the names of files that are read. */
export function endingsOf({ format, endings }: ResolvedSource): readonly string[] {
  return format === undefined ? Object.values(ENDINGS).flat() : (endings ?? ENDINGS[format]);
}

/** What a file holds; undefined for one that is not read. */
export function formatOf(file: string, source: ResolvedSource): RecordFormat | undefined {
  const name = file.toLowerCase();
  const ends = (list: readonly string[]) => list.some((ending) => name.endsWith(ending.toLowerCase()));
  if (source.format !== undefined) return ends(endingsOf(source)) ? source.format : undefined;
  return Object.values(RecordFormat).find((candidate) => ends(ENDINGS[candidate]));
}

/**
 * Cuts the input into shards, the same for the same files in whatever order. Lazily: a plan of a million files is never held.
 *
 * @param files sorted by name, as code units
 */
export function* planShards(
  files: Iterable<InputFile>,
  source: ResolvedSource,
  limits: ShardLimits = SHARD_LIMITS,
): Generator<ShardPlan> {
  let index = 0;
  let ranges: ShardRange[] = [];
  let bytes = 0;
  for (const file of files) {
    const format = formatOf(file.name, source);
    if (format === undefined) continue;
    const most = format === RecordFormat.DOCUMENT ? Math.max(1, file.bytes) : limits.bytes;
    for (let from = 0; from === 0 || from < file.bytes; from += most) {
      const to = Math.min(file.bytes, from + most);
      if (ranges.length > 0 && (bytes + to - from > limits.bytes || ranges.length >= limits.files)) {
        yield { index: index++, ranges };
        ranges = [];
        bytes = 0;
      }
      ranges.push({ file: file.name, digest: file.digest, fileBytes: file.bytes, from, to });
      bytes += to - from;
    }
  }
  if (ranges.length > 0) yield { index, ranges };
}
