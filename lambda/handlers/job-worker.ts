import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { batchWorkers } from '../../lib/policy/batch-workers';
import { AwsError } from '../aws/aws-error';
import { batchStores } from '../batch-store/environment';
import { itemFaultLine, itemsLine } from '../observability/items-line';
import { longestRequestMs } from '../queueing/worker/longest-request';
import type { WorkerPorts } from '../queueing/worker/ports';
import { Shift } from '../queueing/worker/shift';
import { gatewayFrom, timer } from './parts/gateway-from-environment';

/** The parts of an event of SQS that are read. */
interface QueueEvent {
  readonly Records: readonly { readonly messageId: string; readonly body: string }[];
}

/** The messages that SQS is to deliver again; the others are done with. */
interface QueueAnswer {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

const { gateway, policy, names, writeLine } = gatewayFrom(process.env, 'batch');
const { bucket, desk, results, items, deadLetters } = batchStores(process.env);

/** A part of an input. Of one that has become too short nothing is left, as of one that is gone. */
async function read(input: string, from: number, length: number): Promise<Uint8Array | undefined> {
  try {
    const part = await bucket.get(input, { range: { from, to: from + length - 1 } });
    const chunks: Uint8Array[] = [];
    for await (const chunk of part?.body ?? []) chunks.push(chunk);
    return part && Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof AwsError && error.code === 'InvalidRange') return undefined;
    throw error;
  }
}

const ports: WorkerPorts = {
  desk: desk(),
  shelf: results,
  queue: items,
  deadLetters: deadLetters(),
  read,
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
export async function handler(
  { Records }: QueueEvent,
  context: { getRemainingTimeInMillis(): number },
): Promise<QueueAnswer> {
  const messages = Records.map(({ messageId, body }) => ({ id: messageId, text: body }));
  const report = await new Shift(ports, context.getRemainingTimeInMillis()).work(messages);
  writeLine(itemsLine(Date.now(), report, names));
  return { batchItemFailures: report.kept.map((itemIdentifier) => ({ itemIdentifier })) };
}
