import { type HttpListener } from '../../../bin/start/http-listener';
import { startEmbeddedAws } from '../../../bin/start/aws/embedded-aws';
import { type AwsService, awsService, callJson } from '../../../lambda/aws/service';
import { type MotoServer, startMoto } from '../../lambda/moto-server';

const CREDENTIALS = { accessKeyId: 'moto', secretAccessKey: 'moto' };

/** The embedded services and moto, to be asked the same. */
export interface TwoServers {
  readonly embedded: HttpListener;
  readonly moto: MotoServer;
  /** A service of both, the embedded one first. */
  services(name: Parameters<typeof awsService>[1]): [AwsService, AwsService];
  close(): Promise<void>;
}

export async function startTwoServers(): Promise<TwoServers> {
  const [embedded, moto] = await Promise.all([startEmbeddedAws({ credentials: CREDENTIALS }), startMoto()]);
  return {
    embedded,
    moto,
    services: (name) => [
      awsService({ ...moto.environment, AWS_ENDPOINT_URL: embedded.url }, name, 20_000),
      awsService(moto.environment, name, 20_000),
    ],
    close: async () => void (await Promise.all([embedded.close(), moto.close()])),
  };
}

/** Makes a queue and returns its address. */
export async function createQueue(
  service: AwsService,
  name: string,
  attributes: Readonly<Record<string, string>> = {},
): Promise<string> {
  const answer = await callJson(service, 'AmazonSQS.CreateQueue', { QueueName: name, Attributes: attributes });
  return (answer as { readonly QueueUrl: string }).QueueUrl;
}

/** Makes a table with the keys `pk` and `sk`. */
export async function createTable(service: AwsService, name: string): Promise<void> {
  await callJson(service, 'DynamoDB_20120810.CreateTable', {
    TableName: name,
    BillingMode: 'PAY_PER_REQUEST',
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
    AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
  });
}

/** Makes a bucket. */
export async function createBucket(service: AwsService, name: string): Promise<void> {
  const body =
    '<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>';
  const authorization = 'AWS4-HMAC-SHA256 Credential=moto/20260101/eu-west-1/s3/aws4_request, Signature=0';
  const { status } = await fetch(new URL(`/${name}`, service.origin), {
    method: 'PUT',
    headers: { authorization },
    body,
  });
  if (status !== 200) throw new Error(`bucket ${name}: ${status}`);
}

/** What an operation comes to: its result, or what kind of failure. */
export async function outcomeOf(operation: Promise<unknown>): Promise<unknown> {
  try {
    return { result: await operation };
  } catch (error) {
    const { name, code, indexes, row } = error as {
      readonly name: string;
      readonly code?: string;
      readonly indexes?: unknown;
      readonly row?: unknown;
    };
    return { failed: name, code, indexes, row };
  }
}
