import { SignatureV4 } from '@smithy/signature-v4';
import type { AwsCredentialIdentity, HttpRequest } from '@smithy/types';
import { Sha256 } from './sha256';

/** A request to an AWS service. */
export interface UnsignedRequest {
  readonly method: string;
  /** Address of the service, without a path. */
  readonly origin: URL;
  /** Path with its parts escaped, as it will be sent. */
  readonly path: string;
  /** Parameters of the query, not escaped. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Who signs, for which service. */
export interface RequestSigner {
  /** The service's name in signatures, such as `bedrock`. */
  readonly service: string;
  readonly region: string;
  readonly credentials: AwsCredentialIdentity;
  readonly now: Date;
}

/** S3 takes the path as it is sent; every other service wants it escaped once more in what is signed. */
const SIGNS_PATH_AS_SENT = 's3';

/**
 * The headers with which a request is sent: its own and Signature Version 4. The host is signed as HTTP clients write it,
 * and left for them to write.
 */
export async function signedHeaders(request: UnsignedRequest, signer: RequestSigner): Promise<Record<string, string>> {
  const signed = await signatureOf(signer).sign(signable(request), { signingDate: signer.now });
  const { host: _, ...rest } = signed.headers;
  return rest;
}

/**
 * The address by which anyone may make one request of S3 without credentials. The headers are part of it: who uses the
 * address must send them as they are. The body is not.
 *
 * @param seconds how long the address holds, a week at most; it ends earlier where the credentials do
 */
export async function presignedUrl(request: UnsignedRequest, signer: RequestSigner, seconds: number): Promise<string> {
  const { headers, ...rest } = request;
  const unsigned = signable({ ...rest, headers: { ...headers, 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD' } });
  const { query } = await signatureOf(signer).presign(unsigned, { signingDate: signer.now, expiresIn: seconds });
  return addressOf(request.origin, request.path, query as Readonly<Record<string, string>>).href;
}

/** The address of a request, its query escaped in the way that signatures know. */
export function addressOf(origin: URL, path: string, query: Readonly<Record<string, string>> = {}): URL {
  const parameters = Object.entries(query).map(([name, value]) => `${escapedFully(name)}=${escapedFully(value)}`);
  return new URL(origin.origin + path + (parameters.length > 0 ? `?${parameters.join('&')}` : ''));
}

/** Escapes everything but letters, digits and `-._~`, as Signature Version 4 does. */
export function escapedFully(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function signatureOf({ service, region, credentials }: RequestSigner): SignatureV4 {
  const uriEscapePath = service !== SIGNS_PATH_AS_SENT;
  // S3 alone asks for the hash of the body in a header.
  return new SignatureV4({
    service,
    region,
    credentials,
    sha256: Sha256,
    uriEscapePath,
    applyChecksum: !uriEscapePath,
  });
}

function signable({ method, origin, path, query, headers, body }: UnsignedRequest): HttpRequest {
  return {
    method,
    protocol: origin.protocol,
    hostname: origin.hostname,
    path,
    query: { ...query },
    headers: { ...headers, host: origin.host },
    body,
  };
}
