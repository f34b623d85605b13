import { randomUUID } from 'node:crypto';
import { Bucket } from '../aws/bucket';
import { Queue } from '../aws/queue';
import { awsService } from '../aws/service';
import { Table } from '../aws/table';
import { type Environment, requiredVariable } from '../security/environment';
import { BatchTable } from './batch-table';
import { FileTable } from './file-table';
import { ItemTable } from './item-table';
import { controlQueue, deadLetterQueue, workQueue } from './queues';
import { ResultBucket } from './result-bucket';

/** The most that one try of a call may take. Parts of uploads have 8 MiB. */
const TIMEOUT_MS = { table: 5000, queue: 10_000, bucket: 30_000 };

/** The stores of background work, where the environment says that they are. */
export function batchStores(environment: Environment) {
  const now = () => Math.floor(Date.now() / 1000);
  const table = new Table(
    awsService(environment, 'dynamodb', TIMEOUT_MS.table),
    requiredVariable(environment, 'BATCH_TABLE'),
  );
  const queues = awsService(environment, 'sqs', TIMEOUT_MS.queue);
  const bucket = new Bucket(
    awsService(environment, 's3', TIMEOUT_MS.bucket),
    requiredVariable(environment, 'BATCH_BUCKET'),
  );
  const batches = new BatchTable(table, now);
  const control = new Queue(queues, requiredVariable(environment, 'CONTROL_QUEUE_URL'));
  const shelves = new ResultBucket(bucket);
  return {
    batches,
    bucket,
    files: new FileTable(table, now),
    shelves,
    results: shelves,
    items: workQueue(new Queue(queues, requiredVariable(environment, 'WORK_QUEUE_URL'))),
    control: controlQueue(control),
    controlMessages: control,
    /** The books of items, for one process. */
    desk: () =>
      new ItemTable(table, {
        ...{ batches, control: controlQueue(control), now, nowMs: Date.now },
        ...{ owner: randomUUID(), random: Math.random },
      }),
    /** Where messages go that nobody can work on. */
    deadLetters: () => deadLetterQueue(new Queue(queues, requiredVariable(environment, 'DEAD_LETTER_QUEUE_URL'))),
  };
}
