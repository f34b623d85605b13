import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { presignedUrl, signedHeaders } from '../../../lambda/security/signed-request';

/** The account and the time of the examples that AWS publishes for S3's signatures. */
const SIGNER = {
  service: 's3',
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
  now: new Date('2013-05-24T00:00:00Z'),
};
const origin = new URL('https://examplebucket.s3.amazonaws.com');

async function signatureOf(request: Partial<Parameters<typeof signedHeaders>[0]>): Promise<string | undefined> {
  const headers = await signedHeaders({ method: 'GET', origin, path: '/', headers: {}, ...request }, SIGNER);
  return /Signature=(.*)/.exec(headers.authorization!)?.[1];
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
describe('a signed request of S3', () => {
  it('bears the published signature where a range is read', async () => {
    expect(await signatureOf({ path: '/test.txt', headers: { range: 'bytes=0-9' } })).toBe(
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    );
  });

  it('escapes a key once, and signs the hash of the body', async () => {
    const headers = { 'x-amz-storage-class': 'REDUCED_REDUNDANCY' };
    const body = 'Welcome to Amazon S3.';
    const hash = '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072';
    const canonical = [
      ...['PUT', '/test%24file.text', '', 'host:examplebucket.s3.amazonaws.com', `x-amz-content-sha256:${hash}`],
      ...['x-amz-date:20130524T000000Z', 'x-amz-storage-class:REDUCED_REDUNDANCY', ''],
      ...['host;x-amz-content-sha256;x-amz-date;x-amz-storage-class', hash],
    ].join('\n');
    const scope = '20130524/us-east-1/s3/aws4_request';
    const toSign = [
      'AWS4-HMAC-SHA256',
      '20130524T000000Z',
      scope,
      createHash('sha256').update(canonical).digest('hex'),
    ];
    const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
    const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${SIGNER.credentials.secretAccessKey}`);
    expect(await signatureOf({ method: 'PUT', path: '/test%24file.text', headers, body })).toBe(
      hmac(key, toSign.join('\n')).toString('hex'),
    );
  });

  it('bears the published signature where the query has parameters, one of them without a value', async () => {
    expect(await signatureOf({ query: { lifecycle: '' } })).toBe(
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    );
    expect(await signatureOf({ query: { 'max-keys': '2', prefix: 'J' } })).toBe(
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    );
  });

  it('is an address where it is signed for someone else, with what they must send', async () => {
    const request = {
      method: 'PUT',
      origin,
      path: '/a%20b',
      headers: { 'content-length': '5' },
      query: { x: 'ü (1)' },
    };
    const url = new URL(await presignedUrl(request, SIGNER, 900));
    expect(url.pathname + url.search).toMatch(/^\/a%20b\?x=%C3%BC%20%281%29&/);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      x: 'ü (1)',
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD',
      'X-Amz-Credential': 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request',
      'X-Amz-Date': '20130524T000000Z',
      'X-Amz-Expires': '900',
      'X-Amz-SignedHeaders': 'content-length;host',
      'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(url.searchParams.get('X-Amz-Signature')).not.toBe(
      new URL(await presignedUrl({ ...request, headers: { 'content-length': '6' } }, SIGNER, 900)).searchParams.get(
        'X-Amz-Signature',
      ),
    );
  });
});
