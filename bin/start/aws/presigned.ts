import type { IncomingMessage } from 'node:http';
import type { AwsCredentialIdentity } from '@smithy/types';
import { presignedUrl } from '../../../lambda/security/signed-request';
import { ServiceError } from './service-error';

const SIGNATURE = 'X-Amz-Signature';

/**
 * Sees that a request of S3 is signed. Where its address is what was signed, the signature is worked out again: that is
 * what holds for a client without credentials. Signatures in headers are those of the functions here, and are taken.
 *
 * @throws ServiceError
 */
export async function seeSignature(
  message: IncomingMessage,
  url: URL,
  credentials: AwsCredentialIdentity,
  now: number,
): Promise<void> {
  if (message.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ')) return;
  const given = url.searchParams.get(SIGNATURE);
  if (given === null) throw new ServiceError('AccessDenied', 'Access Denied', 403);
  const parameter = (name: string) => url.searchParams.get(`X-Amz-${name}`) ?? '';
  const [, , region = '', service = ''] = parameter('Credential').split('/');
  const signedAt = new Date(parameter('Date').replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  const seconds = Number(parameter('Expires'));
  if (!(now < signedAt.getTime() + seconds * 1000)) throw new ServiceError('AccessDenied', 'Request has expired', 403);

  const names = parameter('SignedHeaders').split(';');
  const headers = Object.fromEntries(
    names.filter((name) => name !== 'host').map((name) => [name, String(message.headers[name] ?? '')]),
  );
  const own = [...url.searchParams].filter(([name]) => !name.startsWith('X-Amz-'));
  const expected = await presignedUrl(
    {
      ...{ method: message.method ?? '', origin: new URL(url.origin), path: url.pathname, headers },
      query: Object.fromEntries(own),
    },
    { service, region, credentials, now: signedAt },
    seconds,
  );
  if (new URL(expected).searchParams.get(SIGNATURE) !== given) {
    const words = 'The request signature we calculated does not match the signature you provided.';
    throw new ServiceError('SignatureDoesNotMatch', words, 403);
  }
}
