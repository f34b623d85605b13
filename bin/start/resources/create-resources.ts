import { randomBytes } from 'node:crypto';
import { AwsError } from '../../../lambda/aws/aws-error';
import { exchange } from '../../../lambda/aws/exchange';
import { type AwsService, awsService, callJson } from '../../../lambda/aws/service';
import type { Environment } from '../../../lambda/security/environment';
import { referenceIn, resourcesOf, type Template } from '../template';
import type { ResourceValues } from './template-values';

type Properties = Readonly<Record<string, unknown>>;

const TIMEOUT_MS = 10_000;

/** Refusals that say that a resource is there already, from an earlier run on an emulator that went on. */
const EXISTS: ReadonlySet<string> = new Set([
  'ResourceInUseException',
  'ResourceExistsException',
  'BucketAlreadyOwnedByYou',
  'BucketAlreadyExists',
]);

const TABLE_TYPES = ['AWS::DynamoDB::Table', 'AWS::DynamoDB::GlobalTable'];

/** Attributes of queues that mean something here, under the names that the API has for them too. */
const QUEUE_ATTRIBUTES = ['VisibilityTimeout', 'DelaySeconds', 'ReceiveMessageWaitTimeSeconds'];

/**
 * Makes the buckets, tables, queues and secrets of a template, named for their logical ids, by the services' own calls.
 * What the template says of keys, redrive and times holds; encryption, policies and life cycles do not.
 *
 * @param environment with the services' endpoints
 * @returns what each is known by, by its logical id
 */
export async function createResources(
  template: Template,
  environment: Environment,
): Promise<ReadonlyMap<string, ResourceValues>> {
  const made = new Map<string, ResourceValues>();
  const service = (name: Parameters<typeof awsService>[1]) => awsService(environment, name, TIMEOUT_MS);
  const makeAll = (types: readonly string[], make: (id: string, properties: Properties) => Promise<ResourceValues>) =>
    Promise.all(
      types
        .flatMap((type) => resourcesOf(template, type))
        .map(async ([id, properties]) => void made.set(id, await make(id, properties))),
    );
  await makeAll(['AWS::S3::Bucket'], (id) => createBucket(service('s3'), id));
  await makeAll(TABLE_TYPES, (id, properties) => createTable(service('dynamodb'), id, properties));
  await makeAll(['AWS::SecretsManager::Secret'], (id, properties) =>
    createSecret(service('secretsmanager'), id, properties),
  );
  await createQueues(service('sqs'), template, made);
  return made;
}

/** Dead letters first: a queue names those that it sends to. */
async function createQueues(service: AwsService, template: Template, made: Map<string, ResourceValues>): Promise<void> {
  const queues = resourcesOf(template, 'AWS::SQS::Queue');
  const create = async ([id, properties]: (typeof queues)[number]) => {
    made.set(id, await createQueue(service, id, properties, made));
  };
  await Promise.all(queues.filter(([, { RedrivePolicy }]) => RedrivePolicy === undefined).map(create));
  await Promise.all(queues.filter(([, { RedrivePolicy }]) => RedrivePolicy !== undefined).map(create));
}

async function createQueue(
  service: AwsService,
  id: string,
  properties: Properties,
  made: ReadonlyMap<string, ResourceValues>,
): Promise<ResourceValues> {
  if (properties.FifoQueue === true) throw new Error(`${id}: a local run serves standard queues only`);
  const attributes: Record<string, string> = {};
  for (const name of QUEUE_ATTRIBUTES) {
    const value = properties[name];
    if (typeof value === 'number') attributes[name] = String(value);
  }
  const redrive = properties.RedrivePolicy as
    { readonly deadLetterTargetArn: unknown; readonly maxReceiveCount: number } | undefined;
  if (redrive) {
    const arn = made.get(referenceIn(redrive.deadLetterTargetArn) ?? '')?.attributes.Arn;
    if (arn === undefined) throw new Error(`${id}: its dead letters are no queue of the template`);
    const { maxReceiveCount } = redrive;
    attributes.RedrivePolicy = JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount });
  }
  const input = { QueueName: id, Attributes: attributes };
  const { QueueUrl: url } = (await callJson(service, 'AmazonSQS.CreateQueue', input)) as { readonly QueueUrl: string };
  const asked = { QueueUrl: url, AttributeNames: ['QueueArn'] };
  const { Attributes: known } = (await callJson(service, 'AmazonSQS.GetQueueAttributes', asked)) as {
    readonly Attributes: { readonly QueueArn: string };
  };
  return { ref: url, attributes: { Arn: known.QueueArn, QueueName: id, QueueUrl: url } };
}

async function createTable(service: AwsService, id: string, properties: Properties): Promise<ResourceValues> {
  const { KeySchema, AttributeDefinitions } = properties;
  const input = { TableName: id, BillingMode: 'PAY_PER_REQUEST', KeySchema, AttributeDefinitions };
  await unlessThere(callJson(service, 'DynamoDB_20120810.CreateTable', input));
  return { ref: id, attributes: { Arn: `arn:aws:dynamodb:${service.region}:000000000000:table/${id}` } };
}

async function createSecret(service: AwsService, id: string, properties: Properties): Promise<ResourceValues> {
  const { SecretString: given } = properties;
  const text = typeof given === 'string' ? given : randomBytes(32).toString('hex');
  const input = { Name: id, SecretString: text, ClientRequestToken: randomBytes(16).toString('hex') };
  await unlessThere(callJson(service, 'secretsmanager.CreateSecret', input, { version: '1.1' }));
  const asked = { SecretId: id };
  const { ARN: arn } = (await callJson(service, 'secretsmanager.GetSecretValue', asked, { version: '1.1' })) as {
    readonly ARN: string;
  };
  return { ref: arn, attributes: { Id: arn } };
}

async function createBucket(service: AwsService, id: string): Promise<ResourceValues> {
  const name = id.toLowerCase();
  await unlessThere(
    exchange(service, {
      ...{ operation: 'CreateBucket', method: 'PUT', path: `/${name}`, isRepeatable: true },
      read: () => Promise.resolve(),
    }),
  );
  return { ref: name, attributes: { Arn: `arn:aws:s3:::${name}` } };
}

async function unlessThere(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!(error instanceof AwsError && EXISTS.has(error.code))) throw error;
  }
}
