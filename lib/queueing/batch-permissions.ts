import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import type { HandlerFunction } from '../handlers/handler-function';
import { acknowledge, wildcardFinding } from '../security/acknowledge';
import type { BatchFiles } from './batch-files';
import type { BatchProgress } from './batch-progress';

/** Where batches are kept. */
export interface BatchBooks {
  readonly files: BatchFiles;
  readonly progress: BatchProgress;
  readonly encryptionKey?: kms.IKey;
}

/** What the code of a function calls. A test compares it with the calls that the functions were seen to make. */
interface Calls {
  /** Actions on rows of the table. */
  readonly rows: readonly string[];
  /** Actions on objects, by what their keys begin with. */
  readonly objects: Readonly<Record<string, readonly string[]>>;
}

/** Files and rows of the functions of background work, by their handler. */
export const BATCH_CALLS = {
  'batch-api': {
    rows: ['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem', 'Query'],
    objects: {
      'files/': ['GetObject', 'PutObject', 'DeleteObject'],
      'jobs/': ['PutObject', 'DeleteObject'],
      'items/': ['GetObject'],
    },
  },
  'batch-control': {
    rows: ['GetItem', 'PutItem', 'DeleteItem', 'Query'],
    objects: {
      'files/': ['GetObject', 'PutObject', 'AbortMultipartUpload'],
      'jobs/': ['GetObject'],
      'items/': ['GetObject', 'PutObject', 'AbortMultipartUpload', 'DeleteObject'],
    },
  },
  'job-worker': {
    rows: ['GetItem', 'PutItem', 'UpdateItem', 'Query'],
    objects: {
      'files/': ['GetObject'],
      'jobs/': ['GetObject'],
      'items/': ['GetObject', 'PutObject'],
    },
  },
} satisfies Record<string, Calls>;

/** Lets a function do what its code does with files and rows, and nothing else. */
export function grantBooks(handler: HandlerFunction, { rows, objects }: Calls, books: BatchBooks): void {
  const allow = (actions: readonly string[], resource: string) => {
    handler.role.addToPolicy(new iam.PolicyStatement({ actions: [...actions], resources: [resource] }));
  };
  allow(
    rows.map((action) => `dynamodb:${action}`),
    books.progress.tableArn,
  );
  for (const [prefix, actions] of Object.entries(objects)) {
    const resource = books.files.arnForObjects(`${prefix}*`);
    allow(
      actions.map((action) => `s3:${action}`),
      resource,
    );
    acknowledge(handler.role, {
      [wildcardFinding(handler.role, resource)]:
        'Files, jobs and results are the objects below a prefix; which they are is not known when the policy is written.',
    });
  }
  // Who may not list a bucket is told 403 of an object that is not there, as if it were there and forbidden.
  allow(['s3:ListBucket'], books.files.bucketArn);
  // To write objects and messages; to decrypt, each function may anyway.
  books.encryptionKey?.grant(handler, 'kms:GenerateDataKey');
}

/** Lets a function say when a message that it could not deal with comes back. */
export function grantDelay(handler: HandlerFunction, queue: sqs.IQueue): void {
  queue.grant(handler, 'sqs:ChangeMessageVisibility');
}

/** Lets a function send messages, and nothing else. */
export function grantSend(handler: HandlerFunction, ...queues: readonly sqs.IQueue[]): void {
  for (const queue of queues) queue.grant(handler, 'sqs:SendMessage');
}

/** What Lambda does in the name of a function that is fed by a queue. */
export function grantFeed(handler: HandlerFunction, queue: sqs.IQueue): void {
  queue.grant(handler, 'sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes');
}

/** Lets a function read a secret's value, and nothing else of it. */
export function grantReadSecret(handler: HandlerFunction, secret: secretsmanager.ISecret): void {
  const actions = ['secretsmanager:GetSecretValue'];
  handler.role.addToPolicy(new iam.PolicyStatement({ actions, resources: [secret.secretArn] }));
}
