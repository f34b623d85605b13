import { RecordFormat } from '../../../lib/policy';
import type { ResolvedSource } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { InputFiles } from '../storage';
import { csvColumns, recordFromCsv } from './csv';
import { decode, recordFromJson } from './decode';
import { SCAN_RULE, UncleanFile } from './file-scan';
import { type Line, linesOf } from './lines';
import { formatOf, type ShardRange } from './shard-plan';
import { type DataRecord, type Place, ReadingFault, type SourceRecord } from './source-record';

/** The first line of a CSV file is read by itself, for each range. */
const MOST_HEADER_BYTES = 65_536;

/** The records of the ranges, in order, in batches as they come. Holds one piece of a file and one record at a time. */
export async function* readRanges(
  ranges: readonly ShardRange[],
  source: ResolvedSource,
  files: InputFiles,
): AsyncGenerator<SourceRecord[]> {
  for (const range of ranges) {
    try {
      yield* readRange(range, source, files);
    } catch (error) {
      if (!(error instanceof UncleanFile)) throw error;
      const { file, from, to } = range;
      // How many records it has, nobody may see.
      yield [{ place: { file, offset: from, bytes: to - from }, fault: new ReadingFault(SCAN_RULE, error.message) }];
    }
  }
}

async function* readRange(
  range: ShardRange,
  source: ResolvedSource,
  files: InputFiles,
): AsyncGenerator<SourceRecord[]> {
  const format = formatOf(range.file, source);
  if (format === RecordFormat.DOCUMENT) yield [await readDocument(range, source, files)];
  else if (format === RecordFormat.CSV) yield* readCsv(range, source, files);
  else yield* readLines(range, source, files, recordFromJson);
}

async function* readLines(
  { file, from, to, fileBytes }: ShardRange,
  { mostRecordBytes }: ResolvedSource,
  files: InputFiles,
  recordOf: (text: string) => DataRecord | ReadingFault,
): AsyncGenerator<SourceRecord[]> {
  const read = (start: number, end: number) => files.read(file, start, end);
  for await (const lines of linesOf(read, { from, to, fileBytes }, mostRecordBytes)) {
    yield lines.map((line) => recordOfLine(file, line, mostRecordBytes, recordOf));
  }
}

function recordOfLine(
  file: string,
  { offset, bytes, content }: Line,
  mostBytes: number,
  recordOf: (text: string) => DataRecord | ReadingFault,
): SourceRecord {
  const place = { file, offset, bytes };
  if (!content) return { place, fault: tooLarge(mostBytes) };
  return recordAt(place, () => {
    const text = decode(content, offset === 0);
    return text instanceof ReadingFault ? text : recordOf(text);
  });
}

/** What is thrown in the reading of a record is a fault of that record: the others are read. */
function recordAt(place: Place, read: () => DataRecord | ReadingFault): SourceRecord {
  try {
    const record = read();
    return record instanceof ReadingFault ? { place, fault: record } : { place, record };
  } catch (error) {
    // The message may repeat what stands in the record.
    const { name } = error as Error;
    return { place, fault: new ReadingFault('size', `is more than can be read at a time (${name})`) };
  }
}

async function* readCsv(range: ShardRange, source: ResolvedSource, files: InputFiles): AsyncGenerator<SourceRecord[]> {
  const { file, fileBytes } = range;
  const header = await firstLine(file, fileBytes, files);
  const columns = header instanceof ReadingFault ? header : csvColumns(header);
  if (columns instanceof ReadingFault) {
    yield* withoutHeader(range, columns, source, files);
    return;
  }
  for await (const records of readLines(range, source, files, (text) => recordFromCsv(columns, text))) {
    yield records[0]?.place.offset === 0 ? records.slice(1) : records;
  }
}

/** Without names no line of the file is a record: each is at fault, so that a file that is lost counts for what it holds. */
async function* withoutHeader(
  range: ShardRange,
  { rule, reason }: ReadingFault,
  source: ResolvedSource,
  files: InputFiles,
): AsyncGenerator<SourceRecord[]> {
  const fault = new ReadingFault(rule, `the first line of its file ${reason}`);
  for await (const records of readLines(range, source, files, () => fault)) {
    yield records.map(({ place }) => ({ place, fault }));
  }
  if (range.from === 0 && range.fileBytes === 0) yield [{ place: { file: range.file, offset: 0, bytes: 0 }, fault }];
}

async function firstLine(file: string, fileBytes: number, files: InputFiles): Promise<string | ReadingFault> {
  const read = (from: number, to: number) => files.read(file, from, to);
  for await (const [line] of linesOf(read, { from: 0, to: 1, fileBytes }, MOST_HEADER_BYTES)) {
    return line?.content ? decode(line.content, true) : tooLarge(MOST_HEADER_BYTES);
  }
  return new ReadingFault('empty', 'is an empty file');
}

async function readDocument(
  { file, fileBytes }: ShardRange,
  { mostRecordBytes }: ResolvedSource,
  files: InputFiles,
): Promise<SourceRecord> {
  const place: Place = { file, offset: 0, bytes: fileBytes };
  if (fileBytes > mostRecordBytes) return { place, fault: tooLarge(mostRecordBytes) };
  const pieces: Buffer[] = [];
  for await (const piece of files.read(file, 0, fileBytes)) pieces.push(Buffer.from(piece));
  return recordAt(place, () => {
    const text = decode(Buffer.concat(pieces), true);
    if (text instanceof ReadingFault) return text;
    if (text.trim() === '') return new ReadingFault('empty', 'is an empty document');
    return { uri: file, text, mediaType: /\.(?:md|markdown)$/i.test(file) ? 'text/markdown' : 'text/plain' };
  });
}

function tooLarge(mostBytes: number): ReadingFault {
  return new ReadingFault('size', `is larger than ${mostBytes} bytes`);
}
