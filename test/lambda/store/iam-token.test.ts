import { describe, expect, it } from '@jest/globals';
import { connectionSettings } from '../../../lambda/store/environment';
import { iamToken } from '../../../lambda/store/iam-token';

const credentials = { accessKeyId: 'AKID', secretAccessKey: 'secret', sessionToken: 'a/b+c' };
const now = new Date('2026-11-23T12:00:00Z');

describe('the IAM token', () => {
  it('is a request to connect, signed for ElastiCache, that is good for 15 minutes', async () => {
    const token = await iamToken({ user: 'gateway', cacheName: 'cache-1', region: 'eu-west-1', credentials, now });
    const { pathname, searchParams: query, host } = new URL(`https://${token}`);
    expect([host, pathname]).toEqual(['cache-1', '/']);
    expect(Object.fromEntries(query)).toEqual({
      Action: 'connect',
      User: 'gateway',
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': 'AKID/20261123/eu-west-1/elasticache/aws4_request',
      'X-Amz-Date': '20261123T120000Z',
      'X-Amz-Expires': '900',
      'X-Amz-Security-Token': 'a/b+c',
      'X-Amz-SignedHeaders': 'host',
      'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(token).toContain('X-Amz-Security-Token=a%2Fb%2Bc');
  });

  it('is asked for only where the store has users', async () => {
    const plain = connectionSettings({ STORE_URL: 'redis://localhost:6379', STORE_TIMEOUT_MS: '70' });
    expect(plain).toEqual({ url: 'redis://localhost:6379', timeoutMs: 70, connectTimeoutMs: 500 });
    const withUser = connectionSettings({
      STORE_URL: 'rediss://x:6379',
      STORE_USER: 'gateway',
      STORE_CACHE_NAME: 'cache-1',
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKID',
      AWS_SECRET_ACCESS_KEY: 'secret',
    });
    const signIn = await withUser.credentials?.();
    expect(signIn).toEqual({ username: 'gateway', password: expect.stringMatching(/^cache-1\/\?Action=connect/) });
    expect(() => connectionSettings({})).toThrow('STORE_URL must be set');
    expect(() => connectionSettings({ STORE_URL: 'x', STORE_TIMEOUT_MS: '0' })).toThrow('STORE_TIMEOUT_MS');
  });
});
