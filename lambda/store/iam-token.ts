import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { AwsCredentialIdentity, Checksum, SourceData } from '@smithy/types';

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

/** Node's own SHA-256 in the shape that the signer asks for. */
class Sha256 implements Checksum {
  private hash: Hash | Hmac;

  constructor(private readonly secret?: SourceData) {
    this.hash = this.fresh();
  }

  public update(data: Uint8Array): void {
    this.hash.update(data);
  }

  public digest(): Promise<Uint8Array> {
    return Promise.resolve(this.hash.digest());
  }

  public reset(): void {
    this.hash = this.fresh();
  }

  private fresh(): Hash | Hmac {
    if (this.secret === undefined) return createHash('sha256');
    const secret = typeof this.secret === 'string' ? this.secret : Buffer.from(this.secret as Uint8Array);
    return createHmac('sha256', secret);
  }
}
