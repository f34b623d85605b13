import { readFileSync } from 'node:fs';
import { RecordFormat } from '../../lib/policy';
import { AwsError } from '../../lambda/aws/aws-error';
import { awsService } from '../../lambda/aws/service';
import { readRanges } from '../../lambda/data-pipeline/reading/read-shard';
import type { DataRecord, SourceRecord } from '../../lambda/data-pipeline/reading/source-record';
import { FunctionError } from '../../lambda/data-pipeline/stages/function-stage';
import { invoke } from '../../lambda/pipeline-store/function-call';
import type { IngestReport } from '../../lambda/data-pipeline/features/ingest';
import { awsEnvironment, type AwsPlace } from '../aws-environment';
import { UserError } from '../user-error';

/** Where the store is. */
export interface IngestPlace extends AwsPlace {
  /** Name or ARN of the function that takes records in. */
  readonly function: string;
}

/** Each call writes a file for each entity and day: few calls. */
const RECORDS_PER_CALL = 1000;
/** Lambda takes 6 MB in a call that is waited for; the rest is room for what stands around the records. */
const BYTES_PER_CALL = 5_000_000;
const TIMEOUT_MS = 70_000;

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * Sends records to a feature store, in calls of a thousand or of 5 MB, and prints what was refused.
 *
 * @returns whether all were taken
 * @throws UserError where a line is no record, before anything is sent, and where a call fails, with the line to go on from
 */
export async function ingestRecords(file: string, place: IngestPlace, print: (text: string) => void): Promise<boolean> {
  const records = await readRecords(file);
  const service = awsService(await environmentOf(place), 'lambda', TIMEOUT_MS);
  let [taken, refused, line] = [0, 0, 1];
  for (const batch of batchesOf(records)) {
    const report = (await invoke(service, place.function, { records: batch }).catch((error: unknown) => {
      if (!(error instanceof AwsError || error instanceof FunctionError)) throw error;
      throw new UserError(`${error.message}; taken in ${taken} so far: go on from line ${line}`, { cause: error });
    })) as IngestReport;
    taken += report.taken;
    refused += report.quarantined.length;
    for (const { position, rule, reason } of report.quarantined) print(`line ${line + position}  ${rule}  ${reason}\n`);
    line += batch.length;
  }
  print(`taken in ${taken}, quarantined ${refused}\n`);
  return refused === 0;
}

/** The records of each call, in order. */
export function* batchesOf(records: readonly DataRecord[]): Generator<DataRecord[]> {
  let batch: DataRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    // With the comma behind it.
    const size = Buffer.byteLength(JSON.stringify(record)) + 1;
    if (batch.length === RECORDS_PER_CALL || (batch.length > 0 && bytes + size > BYTES_PER_CALL)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(record);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** A local run looks at no signature, and is not shown the credentials of whoever runs it. */
async function environmentOf(place: AwsPlace): Promise<NodeJS.ProcessEnv> {
  const { awsEndpoint, region = 'us-east-1' } = place;
  if (awsEndpoint === undefined || !LOOPBACK.has(new URL(awsEndpoint).hostname)) return awsEnvironment(place);
  return {
    AWS_REGION: region,
    AWS_ENDPOINT_URL: awsEndpoint,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
}

/** The records of a file, read as those of a pipeline are. Empty lines at its end are none. */
async function readRecords(file: string): Promise<DataRecord[]> {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  const read = async function* (_: string, from: number, to: number) {
    yield await Promise.resolve(content.subarray(from, to));
  };
  const range = { file, digest: '', fileBytes: content.length, from: 0, to: content.length };
  // Whatever the file is called.
  const source = { format: RecordFormat.JSON_LINES, endings: [''], mostRecordBytes: BYTES_PER_CALL };
  const lines: SourceRecord[] = [];
  for await (const some of readRanges([range], source, { read })) for (const line of some) lines.push(line);
  const last = lines.findLastIndex((line) => !('fault' in line && line.fault.rule === 'empty'));
  return lines.slice(0, last + 1).map((line, i) => {
    if ('fault' in line) throw new UserError(`${file}, line ${i + 1}: ${line.fault.reason}`);
    return line.record;
  });
}
