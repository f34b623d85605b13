import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { batchWorkers } from '../../lib/policy/batch-workers';
import { batchStores } from '../batch-store/environment';
import { itemFaultLine, itemsLine } from '../observability/items-line';
import { longestRequestMs } from '../queueing/worker/longest-request';
import type { WorkerPorts } from '../queueing/worker/ports';
import { Shift } from '../queueing/worker/shift';
import { gatewayFrom, timer } from './parts/gateway-from-environment';

const { gateway, policy, names, writeLine } = gatewayFrom(process.env, 'batch');
const { bucket, desk, results, items, deadLetters } = batchStores(process.env);

const ports: WorkerPorts = {
  desk: desk(),
  shelf: results,
  queue: items,
  deadLetters: deadLetters(),
  read: async (input, from, length) => {
    const object = await bucket.get(input, { range: { from, to: from + length - 1 } });
    if (!object) return undefined;
    const chunks: Uint8Array[] = [];
    for await (const chunk of object.body) chunks.push(chunk);
    return Buffer.concat(chunks);
  },
  serve: (event, client) => gateway.serve(event, client, 'batch'),
  longestMs: (model) => longestRequestMs(policy, model),
  itemsAtOnce: batchWorkers(policy.batch).itemsEach,
  maxAttempts: policy.batch.maxAttempts,
  onFault: (error, item) => {
    writeLine(itemFaultLine(error, item));
  },
  now: Date.now,
  random: Math.random,
  pause: (ms) => pause(ms),
  timer,
  newId: randomUUID,
};

/** Entry point of the work queue: works on up to ten items, and asks for those again that could not even be put off. */
export const handler = async ({ Records }: SQSEvent, context: Context): Promise<SQSBatchResponse> => {
  const messages = Records.map(({ messageId, body }) => ({ id: messageId, text: body }));
  const report = await new Shift(ports, context.getRemainingTimeInMillis()).work(messages);
  writeLine(itemsLine(Date.now(), report, names));
  return { batchItemFailures: report.kept.map((itemIdentifier) => ({ itemIdentifier })) };
};
