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

/**
 * Bytes of a shard's line in the plan. A line is one item of the distributed map, and what Step Functions hands on is at
 * most 256 KiB, where names of files may have 1,024 bytes each.
 */
export const MOST_LINE_BYTES = 100_000;

/** Bytes of a line besides its ranges: `{"index":12345678,"ranges":[]}`, and its end. */
const LINE_FRAME_BYTES = 40;

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
  yield* cutShards(rangesOf(files, source, limits), limits);
}

/**
 * Puts ranges into shards, in their order: as many as the limits and the length of a line allow.
 *
 * @param first index of the first shard
 */
export function* cutShards(ranges: Iterable<ShardRange>, limits: ShardLimits, first = 0): Generator<ShardPlan> {
  let index = first;
  let taken: ShardRange[] = [];
  let bytes = 0;
  let lineBytes = LINE_FRAME_BYTES;
  for (const range of ranges) {
    const rangeBytes = range.to - range.from;
    const textBytes = Buffer.byteLength(JSON.stringify(range)) + 1;
    const isFull =
      bytes + rangeBytes > limits.bytes || taken.length >= limits.files || lineBytes + textBytes > MOST_LINE_BYTES;
    if (taken.length > 0 && isFull) {
      yield { index: index++, ranges: taken };
      taken = [];
      bytes = 0;
      lineBytes = LINE_FRAME_BYTES;
    }
    taken.push(range);
    bytes += rangeBytes;
    lineBytes += textBytes;
  }
  if (taken.length > 0) yield { index, ranges: taken };
}

/** What is read of each file, in pieces that fit into a shard; a document is one. */
function* rangesOf(files: Iterable<InputFile>, source: ResolvedSource, limits: ShardLimits): Generator<ShardRange> {
  for (const file of files) {
    const format = formatOf(file.name, source);
    if (format === undefined) continue;
    const most = format === RecordFormat.DOCUMENT ? Math.max(1, file.bytes) : limits.bytes;
    for (let from = 0; from === 0 || from < file.bytes; from += most) {
      const to = Math.min(file.bytes, from + most);
      yield { file: file.name, digest: file.digest, fileBytes: file.bytes, from, to };
    }
  }
}
