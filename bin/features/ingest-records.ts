import { readFileSync } from 'node:fs';
import { AwsError } from '../../lambda/aws/aws-error';
import { awsService } from '../../lambda/aws/service';
import { recordFromJson } from '../../lambda/data-pipeline/reading/decode';
import { ReadingFault } from '../../lambda/data-pipeline/reading/source-record';
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

/** Each call writes a file for each entity and day: few calls, and each below Lambda's 6 MB. */
const RECORDS_PER_CALL = 1000;
const TIMEOUT_MS = 70_000;

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * Sends records to a feature store, in calls of a thousand, and prints what was refused.
 *
 * @returns whether all were taken
 */
export async function ingestRecords(file: string, place: IngestPlace, print: (text: string) => void): Promise<boolean> {
  const records = readRecords(file);
  const service = awsService(await environmentOf(place), 'lambda', TIMEOUT_MS);
  let [taken, refused] = [0, 0];
  for (let i = 0; i < records.length; i += RECORDS_PER_CALL) {
    const batch = records.slice(i, i + RECORDS_PER_CALL);
    const report = (await invoke(service, place.function, { records: batch }).catch((error: unknown) => {
      throw error instanceof AwsError || error instanceof FunctionError ? new UserError(error.message) : error;
    })) as IngestReport;
    taken += report.taken;
    refused += report.quarantined.length;
    for (const { position, rule, reason } of report.quarantined)
      print(`line ${i + position + 1}  ${rule}  ${reason}\n`);
  }
  print(`taken in ${taken}, quarantined ${refused}\n`);
  return refused === 0;
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

function readRecords(file: string): unknown[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  const lines = text.trimEnd() === '' ? [] : text.trimEnd().split('\n');
  return lines.map((line, i) => {
    const record = recordFromJson(line);
    if (record instanceof ReadingFault) throw new UserError(`${file}, line ${i + 1}: ${record.reason}`);
    return record;
  });
}
