import { type AwsService, awsService, callJson, callQuery } from '../../lambda/aws/service';
import type { Environment } from '../../lambda/security/environment';
import { UserError } from '../user-error';
import { deadLetterArn } from './letter';

const TIMEOUT_MS = 30_000;

/** Names of the stack's outputs that say where work waits, and where the books are. */
export const OUTPUTS = { queueUrl: 'WorkQueueUrl', table: 'BatchTableName' } as const;

/** Where work waits, where it goes that nobody can work on, and where the books are. */
export interface Places {
  readonly queueUrl: string;
  readonly deadLetterQueueUrl: string;
  /** Undefined where it was not said: then nothing is known of batches. */
  readonly table?: string;
}

/** What the user said of places. */
export interface PlaceFlags {
  readonly stack?: string;
  readonly queueUrl?: string;
  readonly table?: string;
}

/** A service as the commands of jobs call it. */
export function serviceFor(environment: Environment, name: Parameters<typeof awsService>[1]): AwsService {
  return awsService(environment, name, TIMEOUT_MS);
}

/**
 * Finds the queues and the table: by what the user says, or by the outputs of the stack. The dead letters are where the
 * queue itself says that they are.
 */
export async function findPlaces(flags: PlaceFlags, environment: Environment): Promise<Places> {
  const outputs = flags.stack === undefined ? {} : await outputsOf(flags.stack, environment);
  const queueUrl = flags.queueUrl ?? outputs[OUTPUTS.queueUrl];
  const table = flags.table ?? outputs[OUTPUTS.table];
  if (queueUrl === undefined) {
    const where =
      flags.stack === undefined
        ? 'pass --stack or --queue-url'
        : `pass --queue-url: the stack ${flags.stack} has no output ${OUTPUTS.queueUrl}`;
    throw new UserError(`it is not known where the work queue is; ${where}`);
  }
  const deadLetterQueueUrl = await deadLettersOf(queueUrl, serviceFor(environment, 'sqs'));
  return { queueUrl, deadLetterQueueUrl, ...(table !== undefined && { table }) };
}

async function deadLettersOf(queueUrl: string, sqs: AwsService): Promise<string> {
  const input = { QueueUrl: queueUrl, AttributeNames: ['RedrivePolicy'] };
  const { Attributes } = (await callJson(sqs, 'AmazonSQS.GetQueueAttributes', input)) as {
    readonly Attributes?: Readonly<Record<string, string>>;
  };
  const arn = deadLetterArn(Attributes?.RedrivePolicy);
  if (arn === undefined) throw new UserError(`the queue ${queueUrl} has no dead letters: it has no redrive policy`);
  const [account, name] = arn.split(':').slice(-2);
  const { QueueUrl } = (await callJson(sqs, 'AmazonSQS.GetQueueUrl', {
    QueueName: name,
    QueueOwnerAWSAccountId: account,
  })) as { readonly QueueUrl: string };
  return QueueUrl;
}

async function outputsOf(stack: string, environment: Environment): Promise<Readonly<Record<string, string>>> {
  const input = { Action: 'DescribeStacks', Version: '2010-05-15', StackName: stack };
  const xml = await callQuery(serviceFor(environment, 'cloudformation'), input);
  const pair = /<OutputKey>([^<]*)<\/OutputKey>\s*<OutputValue>([^<]*)<\/OutputValue>/g;
  return Object.fromEntries(
    [...xml.matchAll(pair)].map(([, key = '', value = '']) => [key, value.replaceAll('&amp;', '&')]),
  );
}
