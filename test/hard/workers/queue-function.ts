import { setTimeout as pause } from 'node:timers/promises';
import { loadFunction } from '../../../bin/start/lambda-runtime';
import { Queue, type ReceivedMessage } from '../../../lambda/aws/queue';
import { awsService } from '../../../lambda/aws/service';
import { serveParent } from './serve-parent';

/**
 * A function with the event source that feeds it from a queue, as Lambda's pollers do, in one process. From the environment:
 * HANDLER_FILE, QUEUE_URL, TIMEOUT_MS, BATCH_SIZE, PARALLEL (invocations at once), and TWICE, the share of messages of which
 * it sends a second copy before it hands them over.
 */
export interface FunctionReport {
  readonly invocations: number;
  /** Lines that the function wrote with the level `error`. */
  readonly errors: readonly string[];
}

const { HANDLER_FILE = '', QUEUE_URL = '' } = process.env;
const [timeoutMs, batchSize, parallel, twice] = ['TIMEOUT_MS', 'BATCH_SIZE', 'PARALLEL', 'TWICE'].map((name) =>
  Number(process.env[name] ?? 0),
) as [number, number, number, number];
const IDLE_MS = 50;

const queue = new Queue(awsService(process.env, 'sqs', 20_000), QUEUE_URL);
const errors: string[] = [];
let invocations = 0;

const loaded = loadFunction(
  {
    ...{ id: 'function', file: HANDLER_FILE, handler: 'handler', timeoutMs },
    environment: { ...(process.env as Record<string, string>) },
  },
  (line) => {
    if (line.includes('"level":"error"') && errors.length < 20) errors.push(line);
  },
);

async function poll(): Promise<void> {
  const lambda = await loaded;
  for (;;) {
    const messages = await queue.receive({ most: batchSize }).catch(() => []);
    if (messages.length === 0) {
      await pause(IDLE_MS);
      continue;
    }
    const copied = messages.filter(() => Math.random() < twice);
    if (copied.length > 0) await queue.send(copied.map(({ body, group }) => ({ body, ...(group && { group }) })));
    invocations += 1;
    const answer = await Promise.resolve(lambda.invoke({ Records: messages.map(recordOf) })).catch((error: unknown) => {
      errors.push(String(error));
      return { batchItemFailures: messages.map(({ id }) => ({ itemIdentifier: id })) };
    });
    const { batchItemFailures: failures = [] } = (answer ?? {}) as {
      batchItemFailures?: { itemIdentifier: string }[];
    };
    const kept = new Set(failures.map(({ itemIdentifier }) => itemIdentifier));
    const done = messages.filter(({ id }) => !kept.has(id)).map(({ receipt }) => receipt);
    // A message whose removal failed comes once more.
    if (done.length > 0) await queue.remove(done).catch(() => undefined);
  }
}

function recordOf({ id, receipt, body, receiveCount }: ReceivedMessage): object {
  return {
    ...{ messageId: id, receiptHandle: receipt, body },
    attributes: { ApproximateReceiveCount: String(receiveCount) },
  };
}

void loaded.then(() => {
  for (let i = 0; i < parallel; i++) void poll();
  serveParent<'report', FunctionReport>(() => ({ invocations, errors }));
});
