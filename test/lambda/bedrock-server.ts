import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Behaviour, startBackend, type StubBackend } from './stub-backend';

/** Who may call. */
export const CREDENTIALS = { accessKeyId: 'AKID', secretAccessKey: 'secret', sessionToken: 'a/b+c' };

/** A server in place of Bedrock. */
export interface BedrockServer extends StubBackend {
  /** Paths of the calls so far, as they were sent. */
  readonly paths: string[];
}

/** Starts a server that answers as the test says, but refuses what is not signed as AWS asks for. */
export async function startBedrock(region: string, behave: Behaviour): Promise<BedrockServer> {
  const paths: string[] = [];
  const server = await startBackend();
  const bedrock = { ...server, paths, behave };
  server.behave = (response, call) => {
    paths.push(call.request.url!);
    const fault = signatureFault(call.request, region, JSON.stringify(call.body));
    if (fault === undefined) bedrock.behave(response, call);
    else
      response
        .writeHead(403, { 'x-amzn-errortype': 'InvalidSignatureException' })
        .end(JSON.stringify({ message: fault }));
  };
  return bedrock;
}

/** Answers with an error, in the form of AWS. */
export function awsError(status: number, type: string, message = 'of Bedrock'): Behaviour {
  return (response) =>
    response.writeHead(status, { 'x-amzn-errortype': `${type}:http://internal/` }).end(JSON.stringify({ message }));
}

/**
 * What is wrong with a request's Signature Version 4, computed anew from what arrived
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
 */
function signatureFault({ headers, url }: IncomingMessage, region: string, body: string): string | undefined {
  const [, scope = '', names = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=AKID\/(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? [];
  const time = String(headers['x-amz-date']);
  if (scope !== `${time.slice(0, 8)}/${region}/bedrock/aws4_request`) return `the scope is ${scope}`;
  if (headers['x-amz-security-token'] !== CREDENTIALS.sessionToken) return 'the session token is missing';
  const signed = names.split(';');
  for (const name of ['host', 'content-type', 'x-amz-date', 'x-amz-security-token']) {
    if (!signed.includes(name)) return `${name} is not signed`;
  }
  const canonicalRequest = [
    'POST',
    // Of all services but S3, each part of the path as it was sent is escaped once more.
    url!.split('/').map(encodeURIComponent).join('/'),
    '',
    ...signed.map((name) => `${name}:${String(headers[name]).trim()}`),
    '',
    names,
    sha256(body),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonicalRequest)].join('\n');
  const key = scope
    .split('/')
    .reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${CREDENTIALS.secretAccessKey}`);
  return hmac(key, toSign).toString('hex') === signature ? undefined : 'the signature does not match';
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
