import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startMoto } from '../../lambda/moto-server';
import type { AwsStandIn } from './batch-platform';

/**
 * Moto behind a door that lets one call in at a time. Its conditional writes are a check and a write, between which its
 * threads let others in; those of AWS are one.
 */
export async function startSerialMoto(): Promise<AwsStandIn> {
  const moto = await startMoto();
  const target = new URL(moto.environment.AWS_ENDPOINT_URL!);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let last: Promise<unknown> = Promise.resolve();
  const door = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      last = last.then(
        () =>
          new Promise<void>((done) => {
            const { method, url, headers } = incoming;
            const { hostname, port } = target;
            const onward = request({ hostname, port, method, path: url, headers, agent }, (answer) => {
              const parts: Buffer[] = [];
              answer.on('data', (part: Buffer) => parts.push(part));
              answer.on('close', () => {
                outgoing.writeHead(answer.statusCode!, answer.headers).end(Buffer.concat(parts));
                done();
              });
            });
            onward.on('error', () => {
              outgoing.destroy();
              done();
            });
            onward.end(Buffer.concat(chunks));
          }),
      );
    });
  });
  await new Promise<void>((listening) => door.listen(0, '127.0.0.1', listening));
  const { port } = door.address() as AddressInfo;
  return {
    environment: { ...moto.environment, AWS_ENDPOINT_URL: `http://127.0.0.1:${port}` },
    create: (visibilitySeconds) => {
      moto.python(`
def queue(name, **attributes):
  url = aws('sqs').create_queue(QueueName=name, Attributes=attributes)['QueueUrl']
  return url
queue('dead'); queue('work', VisibilityTimeout='${visibilitySeconds}'); queue('control', VisibilityTimeout='60')
aws('s3').create_bucket(Bucket='batches', CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})
aws('dynamodb').create_table(TableName='batches', BillingMode='PAY_PER_REQUEST',
  AttributeDefinitions=[{'AttributeName': 'pk', 'AttributeType': 'S'}, {'AttributeName': 'sk', 'AttributeType': 'S'}],
  KeySchema=[{'AttributeName': 'pk', 'KeyType': 'HASH'}, {'AttributeName': 'sk', 'KeyType': 'RANGE'}])`);
      const urlOf = (name: string) => `http://127.0.0.1:${port}/123456789012/${name}`;
      return Promise.resolve({
        BATCH_BUCKET: 'batches',
        BATCH_TABLE: 'batches',
        WORK_QUEUE_URL: urlOf('work'),
        CONTROL_QUEUE_URL: urlOf('control'),
        DEAD_LETTER_QUEUE_URL: urlOf('dead'),
      });
    },
    close: async () => {
      agent.destroy();
      door.closeAllConnections();
      door.close();
      await moto.close();
    },
  };
}
