import { setTimeout as pause } from 'node:timers/promises';
import type { AwsCredentialIdentity } from '@smithy/types';
import { type Environment, requiredVariable } from '../security/environment';
import { environmentCredentials } from '../security/environment-credentials';
import { type Exchange, exchange } from './exchange';
import type { RetryPorts } from './retries';

/** An AWS service of which few operations are called: its SDK client would be larger than the handler. */
export interface AwsService extends RetryPorts {
  /** The service's name in signatures. */
  readonly name: string;
  readonly origin: URL;
  /** Whether the origin was set, and is not the service's own in the region. */
  readonly isElsewhere: boolean;
  readonly region: string;
  /** Read anew for each call: Lambda renews them. */
  readonly credentials: () => AwsCredentialIdentity;
  readonly now: () => Date;
  /** The most that one try of a call may take. */
  readonly timeoutMs: number;
}

/** Services by their name in signatures: what their hosts begin with, and the variable by which SDKs move them. */
const SERVICES = {
  autoscaling: 'AWS_ENDPOINT_URL_AUTO_SCALING',
  cloudformation: 'AWS_ENDPOINT_URL_CLOUDFORMATION',
  dynamodb: 'AWS_ENDPOINT_URL_DYNAMODB',
  kms: 'AWS_ENDPOINT_URL_KMS',
  lambda: 'AWS_ENDPOINT_URL_LAMBDA',
  s3: 'AWS_ENDPOINT_URL_S3',
  s3vectors: 'AWS_ENDPOINT_URL_S3VECTORS',
  secretsmanager: 'AWS_ENDPOINT_URL_SECRETS_MANAGER',
  sqs: 'AWS_ENDPOINT_URL_SQS',
  states: 'AWS_ENDPOINT_URL_SFN',
} as const;

/** As AWS's own clients do. */
const ATTEMPTS = 3;

/** A service in the function's region, or where the environment says that it is. */
export function awsService(environment: Environment, name: keyof typeof SERVICES, timeoutMs: number): AwsService {
  const region = requiredVariable(environment, 'AWS_REGION');
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const elsewhere = environment[SERVICES[name]] ?? environment.AWS_ENDPOINT_URL;
  return {
    ...{ name, region, timeoutMs, attempts: ATTEMPTS },
    origin: new URL(elsewhere ?? `https://${name}.${region}.${name === 's3vectors' ? 'api.aws' : domain}`),
    isElsewhere: elsewhere !== undefined,
    credentials: () => environmentCredentials(environment),
    now: () => new Date(),
    random: Math.random,
    pause: (ms) => pause(ms),
  };
}

/** What a JSON call may say of itself. */
export interface JsonCallOptions<T> extends Partial<Pick<Exchange<T>, 'extraMs' | 'signal'>> {
  /** Whether the same is reached where the call is carried out twice. @default true */
  readonly isRepeatable?: boolean;
  /** Version of the protocol. @default 1.0 */
  readonly version?: '1.0' | '1.1';
}

/**
 * Calls an operation by the AWS JSON protocol.
 *
 * @param target the operation's full name, such as `AmazonSQS.GetQueueAttributes`
 * @throws AwsError where the service refuses or does not answer in time, with its own words
 */
export function callJson(
  service: AwsService,
  target: string,
  input: object,
  { isRepeatable = true, version = '1.0', ...limits }: JsonCallOptions<unknown> = {},
): Promise<unknown> {
  return exchange(service, {
    ...{ operation: target, method: 'POST', isRepeatable, ...limits },
    headers: { 'content-type': `application/x-amz-json-${version}`, 'x-amz-target': target },
    body: JSON.stringify(input),
    read: async (answer) => {
      const text = await answer.text();
      return text === '' ? {} : (JSON.parse(text) as unknown);
    },
  });
}

/**
 * Calls an operation that only reads, by the AWS query protocol.
 *
 * @param input the operation, its version and its parameters, as they are sent
 * @returns the answer's XML
 * @throws AwsError where the service refuses or does not answer in time, with its own words
 */
export function callQuery(service: AwsService, input: Readonly<Record<string, string>>): Promise<string> {
  return exchange(service, {
    ...{ operation: input.Action ?? service.name, method: 'POST', isRepeatable: true },
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body: new URLSearchParams(input).toString(),
    read: (answer) => answer.text(),
  });
}
