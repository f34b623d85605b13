import { SignatureV4 } from '@smithy/signature-v4';
import type { AwsCredentialIdentity } from '@smithy/types';
import { Sha256 } from '../security/sha256';

/** Whom the token lets in, and where. */
export interface IamTokenRequest {
  /** Id of the ElastiCache user, which is its name too where it signs in by IAM. */
  readonly user: string;
  /** Id of the replication group, in lower case. */
  readonly cacheName: string;
  readonly region: string;
  readonly credentials: AwsCredentialIdentity;
  readonly now: Date;
}

/** ElastiCache's limit. */
const VALID_SECONDS = 900;

/**
 * The password of an ElastiCache user who signs in by IAM: a signed request to connect, without its scheme
 * (https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html).
 */
export async function iamToken({ user, cacheName, region, credentials, now }: IamTokenRequest): Promise<string> {
  const signer = new SignatureV4({ service: 'elasticache', region, credentials, sha256: Sha256 });
  const signed = await signer.presign(
    {
      method: 'GET',
      protocol: 'https:',
      hostname: cacheName,
      path: '/',
      headers: { host: cacheName },
      query: { Action: 'connect', User: user },
    },
    { expiresIn: VALID_SECONDS, signingDate: now },
  );
  const query = Object.entries(signed.query ?? {}).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`,
  );
  return `${cacheName}/?${query.join('&')}`;
}
