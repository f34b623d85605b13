import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolvePolicy } from '../../lib/policy/defaults';
import type { InferencePolicy } from '../../lib/policy/policy';
import { batchStores } from '../batch-store/environment';
import { clientConnection } from '../gateway/client-connection';
import { lineWriter } from '../observability/line-writer';
import type { ApiEvent } from '../queueing/api-answer';
import { BatchApi } from '../queueing/batch-api';
import { newId } from '../queueing/ids';

const { POLICY_FILE: policyFile = '/opt/policy.json', SERVICE_NAME: service = 'inference' } = process.env;
const {
  plans,
  models,
  batch: settings,
} = resolvePolicy(JSON.parse(readFileSync(policyFile, 'utf8')) as InferencePolicy);
const writeLine = lineWriter(process.stdout);

const api = new BatchApi({
  ...batchStores(process.env),
  ...{ plans, models, settings },
  newFileId: () => newId('file', Date.now(), randomBytes),
  newBatchId: () => newId('batch', Date.now(), randomBytes),
  newJobId: () => newId('job', Date.now(), randomBytes),
  newRequestId: randomUUID,
  now: () => Math.floor(Date.now() / 1000),
  nowMs: Date.now,
  log: (line) => {
    writeLine(JSON.stringify({ service, ...line }));
  },
  warn: (error) => {
    const detail = error instanceof Error ? error.message : String(error);
    writeLine(JSON.stringify({ service, level: 'warn', message: 'left to the sweep', 'error.message': detail }));
  },
});

/** Entry point of the API's calls of files, batches and jobs. */
export const handler = awslambda.streamifyResponse<ApiEvent>((event, stream) =>
  api.serve(
    event,
    clientConnection(stream, (statusCode, headers) =>
      awslambda.HttpResponseStream.from(stream, { statusCode, headers }),
    ),
  ),
);
