import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export const ISSUER = 'https://login.example.com/pool';
export const AUDIENCE = 'inference';
/** The time of every test, in seconds since 1970. */
export const NOW_SECONDS = 1_800_000_000;

/** A key pair with what its public half is called in a key set. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A new key for an algorithm. */
export function signingKey(kid: string, alg = 'ES256'): SigningKey {
  return { kid, alg, ...pairFor(alg) };
}

function pairFor(alg: string): { privateKey: KeyObject; publicKey: KeyObject } {
  if (alg.startsWith('Ed')) return generateKeyPairSync('ed25519');
  if (!alg.startsWith('ES')) return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKeyPairSync('ec', { namedCurve: { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg]! });
}

/** What an issuer publishes of its keys. */
export function keySet(...keys: readonly SigningKey[]): { keys: object[] } {
  return { keys: keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' })) };
}

/** Claims of a token that is good in every respect. */
export function claims(change: object = {}): object {
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'user-1',
    iat: NOW_SECONDS,
    exp: NOW_SECONDS + 3600,
    tenant: 'acme',
    ...change,
  };
}

/** Signs a token with Node's own cryptography, so that the verifier is not tested against itself. */
export function token(key: SigningKey, payload: object = claims(), header: object = {}): string {
  const input = unsigned({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header }, payload);
  return `${input}.${signatureOf(key, Buffer.from(input)).toString('base64url')}`;
}

/** Header and payload, encoded. */
export function unsigned(header: object, payload: object): string {
  return [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}

function signatureOf({ alg, privateKey }: SigningKey, input: Buffer): Buffer {
  if (alg.startsWith('Ed')) return sign(null, input, privateKey);
  const hash = `sha${alg.slice(2)}`;
  if (alg.startsWith('ES')) return sign(hash, input, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  if (alg.startsWith('RS')) return sign(hash, input, privateKey);
  return sign(hash, input, {
    key: privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  });
}
