import { SignatureV4 } from '@smithy/signature-v4';
import type { AwsCredentialIdentity } from '@smithy/types';
import { Sha256 } from './sha256';

/** A POST request to an AWS service. */
export interface UnsignedPost {
  /** Address of the service, without a path. */
  readonly origin: URL;
  /** Path with its parts escaped, as it will be sent. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Who signs, for which service. */
export interface PostSigner {
  /** The service's name in signatures, such as `bedrock`. */
  readonly service: string;
  readonly region: string;
  readonly credentials: AwsCredentialIdentity;
  readonly now: Date;
}

/**
 * The headers with which a request is sent: its own and Signature Version 4. The host is signed as HTTP clients write it,
 * and left for them to write.
 */
export async function signedHeaders(
  { origin, path, headers, body }: UnsignedPost,
  { service, region, credentials, now }: PostSigner,
): Promise<Record<string, string>> {
  const signer = new SignatureV4({ service, region, credentials, sha256: Sha256 });
  const signed = await signer.sign(
    {
      method: 'POST',
      protocol: origin.protocol,
      hostname: origin.hostname,
      path,
      headers: { ...headers, host: origin.host },
      body,
    },
    { signingDate: now },
  );
  const { host: _, ...rest } = signed.headers;
  return rest;
}
