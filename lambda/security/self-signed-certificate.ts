import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { bits, der, objectIdentifier, octets, sequence, set, time, unsignedInteger, utf8, yes } from './der';

/** What a certificate vouches for. */
export interface CertificateRequest {
  /** The name that clients check. */
  readonly serverName: string;
  readonly validityDays: number;
  readonly now: Date;
}

/** A certificate and its key, both as PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly privateKey: string;
}

const DAY_MS = 86_400_000;

/** Clocks differ: the certificate is valid from a little before now, for those that are behind. */
const BACKDATE_MS = 3_600_000;

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
} as const;

/**
 * Makes a P-256 key and an X.509 v3 certificate that vouches for itself (RFC 5280). Who trusts this very certificate
 * needs no authority: it is no CA and can vouch for nothing else.
 */
export function selfSignedCertificate(request: CertificateRequest): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(objectIdentifier(OID.ecdsaWithSha256));
  const name = sequence(set(sequence(objectIdentifier(OID.commonName), utf8(request.serverName.slice(0, 64)))));
  const notBefore = new Date(request.now.getTime() - BACKDATE_MS);
  const notAfter = new Date(request.now.getTime() + request.validityDays * DAY_MS);
  const toBeSigned = sequence(
    der(0xa0, unsignedInteger(Buffer.from([2]))),
    unsignedInteger(serialNumber()),
    algorithm,
    name,
    sequence(time(notBefore), time(notAfter)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions(request.serverName)),
  );
  const signature = sign('sha256', toBeSigned, { key: privateKey, dsaEncoding: 'der' });
  return {
    certificate: pem('CERTIFICATE', sequence(toBeSigned, algorithm, bits(signature))),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** 127 random bits: unique without a register, and positive. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes;
}

function extensions(serverName: string): Buffer {
  const extension = (oid: string, critical: boolean, value: Buffer) =>
    sequence(objectIdentifier(oid), ...(critical ? [yes()] : []), octets(value));
  // Digital signature is the first bit; seven of the byte's bits are not used.
  const digitalSignature = bits(Buffer.from([0x80]), 7);
  return sequence(
    extension(OID.basicConstraints, true, sequence()),
    extension(OID.keyUsage, true, digitalSignature),
    extension(OID.extendedKeyUsage, false, sequence(objectIdentifier(OID.serverAuthentication))),
    extension(OID.subjectAlternativeName, false, sequence(der(0x82, Buffer.from(serverName, 'ascii')))),
  );
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
