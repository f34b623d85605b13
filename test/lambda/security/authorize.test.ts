import { describe, expect, it } from '@jest/globals';
import { authorize } from '../../../lambda/security/authorize';
import { environmentCredentials } from '../../../lambda/security/environment-credentials';
import { hashKey } from '../../../lambda/security/key-hash';

const methodArn = 'arn:aws:execute-api:eu-west-1:123456789012:api/prod/POST/v1/chat/completions';
const ask = (authorizationToken: string) => ({ type: 'TOKEN' as const, authorizationToken, methodArn });
const owner = (hash: string) =>
  Promise.resolve(hash === hashKey('sk-known-key') ? { tenant: 'acme', plan: 'standard' } : undefined);

describe('the authorizer', () => {
  it('lets a known key in, to the whole stage, and tells tenant, plan and usage key', async () => {
    expect(await authorize(ask('bearer sk-known-key'), owner)).toEqual({
      principalId: 'acme',
      policyDocument: {
        Version: '2012-10-17',
        Statement: [
          {
            Action: 'execute-api:Invoke',
            Effect: 'Allow',
            Resource: 'arn:aws:execute-api:eu-west-1:123456789012:api/prod/*',
          },
        ],
      },
      context: { tenant: 'acme', plan: 'standard' },
      usageIdentifierKey: 'sk-known-key',
    });
  });

  it.each(['', 'Bearer', 'Bearer short', 'Basic sk-known-key', 'Bearer sk-known-key x', 'Bearer sk-unknown-key'])(
    'turns away %j',
    async (token) => {
      await expect(authorize(ask(token), owner)).rejects.toThrow(/^Unauthorized$/);
    },
  );

  it('lets nobody in when the table fails', async () => {
    await expect(authorize(ask('Bearer sk-known-key'), () => Promise.reject(new Error('down')))).rejects.toThrow(
      'down',
    );
  });
});

describe('credentials', () => {
  it('come from the environment, with the session’s token, or fail clearly', () => {
    const pair = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 's' };
    expect(environmentCredentials(pair)).toEqual({ accessKeyId: 'a', secretAccessKey: 's' });
    expect(environmentCredentials({ ...pair, AWS_SESSION_TOKEN: 't' }).sessionToken).toBe('t');
    expect(() => environmentCredentials({})).toThrow('no AWS credentials');
  });
});
