import { type AwsService, callJson } from '../aws/service';

/** Reads how many messages wait in a queue; those that workers hold, and delayed ones, are not counted. */
export async function waitingMessages(service: AwsService, queueUrl: string): Promise<number> {
  const name = 'ApproximateNumberOfMessages';
  const answer = (await callJson(service, 'AmazonSQS.GetQueueAttributes', {
    QueueUrl: queueUrl,
    AttributeNames: [name],
  })) as { readonly Attributes?: Readonly<Record<string, string>> };
  const waiting = Number(answer.Attributes?.[name]);
  if (!Number.isFinite(waiting)) throw new Error(`GetQueueAttributes told no ${name}`);
  return waiting;
}
