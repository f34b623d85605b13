import { createHash, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { authorityExtensions, serverExtensions, signedCertificate, toBeSigned } from './x509';

/** A P-256 key that vouches for endpoints, wherever it is kept. */
export interface SigningKey {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array;
  /** ECDSA with SHA-256; the signature in DER. */
  readonly sign: (content: Buffer) => Promise<Uint8Array>;
}

/** A server's certificate, its key, and the certificate of who vouches for it, as PEM. */
export interface ServerCertificate {
  readonly certificate: string;
  readonly privateKey: string;
  readonly authority: string;
}

/** What a server's certificate is to vouch for. */
export interface ServerRequest {
  /** The names that clients may check; the first one is its own. */
  readonly serverNames: readonly string[];
  readonly validityDays: number;
  readonly now: Date;
}

const DAY_MS = 86_400_000;

/** Clocks differ: a certificate is valid from a little before now, for those that are behind. */
const BACKDATE_MS = 3_600_000;

/** How long an authority is trusted: its key stays in KMS, and its clients would need a deployment for another one. */
const AUTHORITY_DAYS = 3653;

/**
 * Makes the certificate that clients trust. Made again with the same key it has the same name: whoever trusts the one
 * accepts what was signed under the other.
 */
export async function authorityCertificate({ publicKey, sign }: SigningKey, now: Date): Promise<string> {
  const content = toBeSigned({
    ...{ serialNumber: randomBytes(16), publicKey, issuer: nameOf(publicKey), subject: nameOf(publicKey) },
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + AUTHORITY_DAYS * DAY_MS),
    extensions: authorityExtensions(idOf(publicKey)),
  });
  return signedCertificate(content, await sign(content));
}

/** Makes a key and a certificate for a server under an authority, beyond whose end it does not hold. */
export async function serverCertificate(
  { publicKey: authorityKey, sign }: SigningKey,
  authority: string,
  { serverNames, validityDays, now }: ServerRequest,
): Promise<ServerCertificate> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const content = toBeSigned({
    ...{ serialNumber: randomBytes(16), issuer: nameOf(authorityKey), subject: serverNames[0]! },
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: endOf(authority, validityDays, now),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    extensions: serverExtensions(serverNames, idOf(authorityKey)),
  });
  return {
    certificate: signedCertificate(content, await sign(content)),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    authority,
  };
}

/**
 * Whether a server's certificate is to be replaced: less than a third of its time is left, and another one would hold
 * longer, by a day at least.
 */
export function isDue(certificate: string, authority: string, validityDays: number, now: Date): boolean {
  const end = new Date(new X509Certificate(certificate).validTo).getTime();
  const left = end - now.getTime();
  return left < (validityDays * DAY_MS) / 3 && endOf(authority, validityDays, now).getTime() >= end + DAY_MS;
}

function endOf(authority: string, validityDays: number, now: Date): Date {
  const end = new Date(new X509Certificate(authority).validTo).getTime();
  return new Date(Math.min(end, now.getTime() + validityDays * DAY_MS));
}

/** Of its own for each key: clients find the authority of a server by its name. */
function nameOf(publicKey: Uint8Array): string {
  return `Model endpoints ${idOf(publicKey).toString('hex')}`;
}

/** 160 bits, as RFC 7093 has it. */
function idOf(publicKey: Uint8Array): Buffer {
  return createHash('sha256').update(publicKey).digest().subarray(0, 20);
}
