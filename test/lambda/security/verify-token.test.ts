import { createHash, createHmac } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { tokenVerifier, type VerifyToken } from '../../../lambda/security/verify-token';
import { AUDIENCE, claims, ISSUER, keySet, NOW_SECONDS, signingKey, token, unsigned } from './token-issuer';

const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const KEYS = Object.fromEntries(ALGORITHMS.map((alg) => [alg, signingKey(`${alg}-key`, alg)]));
const RSA = KEYS.RS256!;
const EC = KEYS.ES256!;
const STRANGER = signingKey('ES256-key');

const RULES = {
  issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwksUrl: 'https://login.example.com/keys', tenantClaim: 'tenant' }],
  tenants: [{ name: 'acme', plan: 'standard' }],
  usageKeyPrefix: 'usage-0123456789abcdef01234567-',
};

let fetched: string[];
let refusals: string[];
let verify: VerifyToken;

function verifierOf(rules: Partial<typeof RULES> = {}): VerifyToken {
  const fetchJson = (url: string) => {
    fetched.push(url);
    return Promise.resolve(keySet(...Object.values(KEYS)));
  };
  const ports = { fetchJson, now: () => NOW_SECONDS * 1000, onRefused: (reason: string) => refusals.push(reason) };
  return tokenVerifier({ ...RULES, ...rules }, ports);
}

beforeEach(() => {
  [fetched, refusals] = [[], []];
  verify = verifierOf();
});

describe('a token of a trusted issuer', () => {
  it('opens the plan of the tenant that it names, until it expires and the clocks’ difference is over', async () => {
    expect(await verify(token(EC))).toEqual({
      tenant: 'acme',
      plan: 'standard',
      usageKey: 'usage-0123456789abcdef01234567-acme',
      expiresAt: (NOW_SECONDS + 3600 + 30) * 1000,
      principal: createHash('sha256').update(`${ISSUER}\nuser-1`).digest('hex').slice(0, 16),
    });
    expect(refusals).toEqual([]);
  });

  it.each(ALGORITHMS)('may be signed by %s', async (alg) => {
    expect(await verify(token(KEYS[alg]!))).toMatchObject({ tenant: 'acme' });
  });

  it('may be made for several, and for no one in particular', async () => {
    expect(await verify(token(EC, claims({ aud: ['else', AUDIENCE] })))).toMatchObject({ tenant: 'acme' });
    expect(await verify(token(EC, claims({ sub: undefined })))).not.toHaveProperty('principal');
  });

  it('may name its tenant by a claim of another name', async () => {
    const issuers = [{ ...RULES.issuers[0]!, tenantClaim: 'custom:tenant' }];
    const payload = claims({ tenant: 'globex', 'custom:tenant': 'acme' });
    expect(await verifierOf({ issuers })(token(EC, payload))).toMatchObject({ tenant: 'acme' });
  });

  it.each([
    ['expired 29 s ago', { exp: NOW_SECONDS - 29 }, true],
    ['expired 31 s ago', { exp: NOW_SECONDS - 31 }, false],
    ['valid in 29 s', { nbf: NOW_SECONDS + 29 }, true],
    ['valid in 31 s', { nbf: NOW_SECONDS + 31 }, false],
  ])('is taken with clocks 30 s apart: %s', async (_, change, taken) => {
    expect((await verify(token(EC, claims(change)))) !== undefined).toBe(taken);
  });
});

describe('a token is refused', () => {
  const publicPem = RSA.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const hmac = (secret: string | Buffer) => {
    const input = unsigned({ alg: 'HS256', kid: RSA.kid }, claims());
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const [header = '', , signature = ''] = token(EC).split('.');
  const forged = Buffer.from(JSON.stringify(claims({ tenant: 'acme', sub: 'admin' }))).toString('base64url');

  it.each<[string, string, RegExp]>([
    ['with another payload than was signed', `${header}.${forged}.${signature}`, /signature verification failed/],
    ['signed by another key of the same name', token(STRANGER), /signature verification failed/],
    [
      'that brings its own key along',
      token(STRANGER, claims(), { jwk: STRANGER.publicKey.export({ format: 'jwk' }) }),
      /signature verification failed/,
    ],
    ['without a signature', `${unsigned({ alg: 'none' }, claims())}.`, /alg/],
    ['of algorithm none with a signature', `${unsigned({ alg: 'none' }, claims())}.${signature}`, /alg/],
    ['signed by HMAC with the public key as the secret', hmac(publicPem), /alg/],
    ['signed by HMAC with the public key’s bytes', hmac(RSA.publicKey.export({ format: 'der', type: 'spki' })), /alg/],
    ['whose key is of another kind than its algorithm', token({ ...RSA, kid: EC.kid }), /no applicable key/],
    ['with a critical extension that nobody knows', token(EC, claims(), { crit: ['x'], x: 1 }), /x/],
    ['made for someone else', token(EC, claims({ aud: 'billing' })), /"aud"/],
    ['made for nobody', token(EC, claims({ aud: undefined })), /"aud"/],
    ['of another issuer', token(EC, claims({ iss: 'https://login.example.org' })), /"iss" is no issuer of the policy/],
    ['of an issuer with a slash more', token(EC, claims({ iss: `${ISSUER}/` })), /"iss" is no issuer/],
    ['of no issuer', token(EC, claims({ iss: undefined })), /"iss" is no issuer/],
    ['of an issuer that is no text', token(EC, claims({ iss: [ISSUER] })), /"iss" is no issuer/],
    ['that has expired', token(EC, claims({ exp: NOW_SECONDS - 3600 })), /"exp"/],
    ['that never expires', token(EC, claims({ exp: undefined })), /"exp"/],
    ['whose expiry is no number', token(EC, claims({ exp: '2099-01-01' })), /"exp"/],
    ['that is not yet valid', token(EC, claims({ nbf: NOW_SECONDS + 3600 })), /"nbf"/],
    ['without a tenant', token(EC, claims({ tenant: undefined })), /"tenant" names no tenant of the policy/],
    ['of an unknown tenant', token(EC, claims({ tenant: 'globex' })), /"tenant" names no tenant/],
    ['whose tenant is a list', token(EC, claims({ tenant: ['acme'] })), /"tenant" names no tenant/],
    [
      'whose tenant is a part of every object',
      token(EC, claims({ tenant: 'constructor' })),
      /"tenant" names no tenant/,
    ],
    ['whose payload is no JSON', `${header}.${Buffer.from('acme').toString('base64url')}.${signature}`, /./],
    ['whose payload is a list', `${header}.${Buffer.from('[1]').toString('base64url')}.${signature}`, /./],
  ])('%s', async (_, refused, reason) => {
    expect(await verify(refused)).toBeUndefined();
    expect(refusals).toEqual([expect.stringMatching(reason)]);
  });

  it.each([
    ['an issuer that is not trusted', token(EC, claims({ iss: 'https://169.254.169.254' }))],
    ['an address of keys', token(EC, claims({ iss: undefined }), { jku: 'https://evil.example/keys' })],
    ['an algorithm that is not taken', hmac('secret')],
  ])('without a call to anybody where it names %s', async (_, refused) => {
    expect(await verify(refused)).toBeUndefined();
    expect(fetched).toEqual([]);
  });

  it('with its keys fetched from the policy’s address alone, whatever address it names', async () => {
    const elsewhere = { jku: 'https://evil.example/keys', x5u: 'https://evil.example/certificate' };
    expect(await verify(token(STRANGER, claims(), elsewhere))).toBeUndefined();
    expect(fetched).toEqual(['https://login.example.com/keys']);
  });

  it('with a reason that repeats nothing of it', async () => {
    await verify(token(EC, claims({ tenant: 'secret-tenant', aud: 'secret-audience' })));
    await verify(token(EC, claims({ tenant: 'secret-tenant' })));
    await verify(token(EC, claims({ iss: 'https://secret.example' })));
    expect(refusals).toHaveLength(3);
    expect(refusals.join()).not.toContain('secret');
  });
});

it('nobody can tell whether a token is good while its issuer is silent: an error, and no refusal', async () => {
  const fetchJson = () => Promise.reject(new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') }));
  const ports = { fetchJson, now: () => NOW_SECONDS * 1000, onRefused: (reason: string) => refusals.push(reason) };
  await expect(tokenVerifier(RULES, ports)(token(EC))).rejects.toThrow(
    `the keys of the issuer ${ISSUER} cannot be fetched: fetch failed: ECONNREFUSED`,
  );
  expect(refusals).toEqual([]);
});
