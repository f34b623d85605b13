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

  it('neither looks a token up as a key nor a key as a token', async () => {
    const asked: string[] = [];
    const find = () => Promise.resolve(void asked.push('key'));
    const verify = () => Promise.resolve(void asked.push('token'));
    const part = 'x'.repeat(60);
    for (const credential of [`${part}.${part}.123456`, `${part}.${part}.1234567`]) {
      await expect(authorize(ask(`Bearer ${credential}`), find, verify)).rejects.toThrow(/^Unauthorized$/);
    }
    expect(asked).toEqual(['key', 'token']);
  });

  it('lets nobody in when the table fails', async () => {
    await expect(authorize(ask('Bearer sk-known-key'), () => Promise.reject(new Error('down')))).rejects.toThrow(
      'down',
    );
  });
});

describe('the authorizer, where issuers are trusted', () => {
  const part = 'x'.repeat(60);
  const token = `${part}.${part}.${part}`;
  const holder = { tenant: 'acme', plan: 'standard', usageKey: 'usage-acme', expiresAt: 1_800_000_030_000 };
  const verify = (asked: string) => Promise.resolve(asked === token ? { ...holder, principal: '0123' } : undefined);

  it('lets a good token in, to be counted by the tenant’s usage key, and tells when it expires', async () => {
    expect(await authorize(ask(`Bearer ${token}`), owner, verify)).toMatchObject({
      principalId: 'acme',
      context: { tenant: 'acme', plan: 'standard', expiresAt: '1800000030000', principal: '0123' },
      usageIdentifierKey: 'usage-acme',
    });
    const nameless = await authorize(ask(`Bearer ${token}`), owner, () => Promise.resolve(holder));
    expect(nameless.context).toEqual({ tenant: 'acme', plan: 'standard', expiresAt: '1800000030000' });
  });

  it('lets a known key in as before', async () => {
    expect((await authorize(ask('Bearer sk-known-key'), owner, verify)).context).toEqual({
      tenant: 'acme',
      plan: 'standard',
    });
  });

  it.each([
    ['a token that is refused', `${token}x`],
    ['a token of four parts', `${token}.${part}`],
    ['a token with characters of another alphabet', `${part}.${part}+/=.${part}`],
    ['a token without a signature', `${part}.${part}${part}.`],
    ['a token in quotes', `"${token}"`],
    ['the value of a usage key', 'usage-0123456789abcdef01234567-acme'],
  ])('turns away %s', async (_, credential) => {
    await expect(authorize(ask(`Bearer ${credential}`), owner, verify)).rejects.toThrow(/^Unauthorized$/);
  });

  it('does not look at a token of more than 8 kB', async () => {
    const lengths: number[] = [];
    const measure = (asked: string) => Promise.resolve(void lengths.push(asked.length));
    for (const length of [8192, 8193]) {
      const oversized = `${part}.${part}.${'x'.repeat(length - 122)}`;
      await expect(authorize(ask(`Bearer ${oversized}`), owner, measure)).rejects.toThrow(/^Unauthorized$/);
    }
    expect(lengths).toEqual([8192]);
  });

  it('lets nobody in, and blames no token, while an issuer is silent', async () => {
    const silent = () => Promise.reject(new Error('issuer down'));
    await expect(authorize(ask(`Bearer ${token}`), owner, silent)).rejects.toThrow(/^issuer down$/);
  });

  it('turns tokens away where none are trusted', async () => {
    await expect(authorize(ask(`Bearer ${token}`), owner)).rejects.toThrow(/^Unauthorized$/);
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
