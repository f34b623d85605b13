import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import fc from 'fast-check';
import { type HttpListener } from '../../../bin/start/http-listener';
import { startEmbeddedAws } from '../../../bin/start/aws/embedded-aws';
import { type AwsService, awsService, callJson } from '../../../lambda/aws/service';
import { hasMoto, type MotoServer, startMoto } from '../../lambda/moto-server';

const CREDENTIALS = { accessKeyId: 'moto', secretAccessKey: 'moto' };

/** The embedded services and moto, to be asked the same. */
export interface TwoServers {
  readonly embedded: HttpListener;
  readonly moto: MotoServer;
  /** A service of both, the embedded one first. */
  services(name: Parameters<typeof awsService>[1]): [AwsService, AwsService];
  close(): Promise<void>;
}

/** Runs a suite on the embedded services and moto; it is skipped where moto is not installed. */
export function describeAgreement(name: string, suite: (servers: () => TwoServers) => void): void {
  (hasMoto ? describe : describe.skip)(name, () => {
    let servers: TwoServers;
    beforeAll(async () => {
      servers = await startTwoServers();
    }, 90_000);
    afterAll(() => servers.close());
    suite(() => servers);
  });
}

/** Something that is asked of both. */
export interface Operation<Service> {
  readonly run: (service: Service) => Promise<unknown>;
  /** What it does, for a counterexample. */
  readonly [fc.toStringMethod]: () => string;
}

/** An operation that a counterexample names so. */
export function named<Service>(name: string, run: Operation<Service>['run']): Operation<Service> {
  return { run, [fc.toStringMethod]: () => name };
}

/**
 * Asks the same of both, one operation after the other.
 *
 * @param isNoMeasure whether moto's answer has the code of one that says nothing of AWS
 * @returns whether all was compared: nothing is any more from an answer on that is no measure
 */
export async function agree<Service>(
  operations: readonly Operation<Service>[],
  [embedded, moto]: readonly [Service, Service],
  isNoMeasure: (code: string | undefined) => boolean = () => false,
): Promise<boolean> {
  for (const { run } of operations) {
    const [ours, theirs] = await Promise.all([outcomeOf(run(embedded)), outcomeOf(run(moto))]);
    if (isNoMeasure((theirs as { readonly code?: string }).code)) return false;
    expect(ours).toEqual(theirs);
  }
  return true;
}

async function startTwoServers(): Promise<TwoServers> {
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
