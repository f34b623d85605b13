import { awsService } from '../../../lambda/aws/service';
import { createBucket, createQueue, createTable } from '../../bin/aws/agreement';
import { WorkerProcess } from '../worker-process';

/** What stands in for AWS in a test of batches. */
export interface AwsStandIn {
  /** What a function needs in its environment to find it, with the queues, the bucket and the table. */
  readonly environment: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Starts the embedded services and makes what the functions of batches work with. */
export async function startAws(visibilitySeconds: number): Promise<AwsStandIn> {
  const services = await WorkerProcess.start<'url', string>('aws-services');
  const url = await services.ask('url');
  const environment = {
    AWS_ENDPOINT_URL: url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
  const sqs = awsService(environment, 'sqs', 10_000);
  const queue = (name: string, visibility: number) => createQueue(sqs, name, { VisibilityTimeout: String(visibility) });
  await createTable(awsService(environment, 'dynamodb', 10_000), 'batches');
  await createBucket(awsService(environment, 's3', 10_000), 'batches');
  return {
    environment: {
      ...environment,
      BATCH_BUCKET: 'batches',
      BATCH_TABLE: 'batches',
      WORK_QUEUE_URL: await queue('work', visibilitySeconds),
      CONTROL_QUEUE_URL: await queue('control', 900),
      DEAD_LETTER_QUEUE_URL: await queue('dead', 30),
    },
    close: () => services.kill(),
  };
}
