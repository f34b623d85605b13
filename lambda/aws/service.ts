import type { AwsCredentialIdentity } from '@smithy/types';
import { type Environment, requiredVariable } from '../security/environment';
import { environmentCredentials } from '../security/environment-credentials';
import { signedHeaders } from '../security/signed-post';

/** An AWS service of which one operation is called: its SDK client would be three times the handler. */
export interface AwsService {
  /** The service's name in signatures. */
  readonly name: string;
  readonly origin: URL;
  readonly region: string;
  /** Read anew for each call: Lambda renews them. */
  readonly credentials: () => AwsCredentialIdentity;
  readonly now: () => Date;
  /** The most that a call may take. */
  readonly timeoutMs: number;
}

/** Services by their name in signatures: what their hosts begin with, and the variable by which SDKs move them. */
const SERVICES = {
  sqs: 'AWS_ENDPOINT_URL_SQS',
  autoscaling: 'AWS_ENDPOINT_URL_AUTO_SCALING',
} as const;

/** A service in the function's region, or where the environment says that it is. */
export function awsService(environment: Environment, name: keyof typeof SERVICES, timeoutMs: number): AwsService {
  const region = requiredVariable(environment, 'AWS_REGION');
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const origin = environment[SERVICES[name]] ?? environment.AWS_ENDPOINT_URL ?? `https://${name}.${region}.${domain}`;
  return {
    ...{ name, region, timeoutMs, origin: new URL(origin) },
    credentials: () => environmentCredentials(environment),
    now: () => new Date(),
  };
}

/**
 * Calls an operation by the AWS JSON protocol.
 *
 * @param target the operation's full name, such as `AmazonSQS.GetQueueAttributes`
 * @throws where the service refuses or does not answer in time, with its own words
 */
export async function callJson(service: AwsService, target: string, input: object): Promise<unknown> {
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': target };
  const text = await post(service, target, headers, JSON.stringify(input));
  return text === '' ? {} : (JSON.parse(text) as unknown);
}

/**
 * Calls an operation by the AWS query protocol.
 *
 * @param input the operation, its version and its parameters, as they are sent
 * @returns the answer's XML
 * @throws where the service refuses or does not answer in time, with its own words
 */
export function callQuery(service: AwsService, input: Readonly<Record<string, string>>): Promise<string> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
  return post(service, input.Action ?? service.name, headers, new URLSearchParams(input).toString());
}

async function post(
  { name, origin, region, credentials, now, timeoutMs }: AwsService,
  operation: string,
  unsigned: Readonly<Record<string, string>>,
  body: string,
): Promise<string> {
  const request = { origin, path: '/', headers: unsigned, body };
  const signer = { service: name, region, credentials: credentials(), now: now() };
  const headers = await signedHeaders(request, signer);
  const signal = AbortSignal.timeout(timeoutMs);
  const answer = await fetch(new URL('/', origin), { method: 'POST', headers, body, signal });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${operation} was answered ${answer.status}: ${text.slice(0, 500)}`);
  return text;
}
