import { bits, der, objectIdentifier, octets, sequence, set, time, unsignedInteger, utf8, yes } from './der';

/** What a certificate says. */
export interface CertificateContent {
  /** Random bytes: unique without a register. */
  readonly serialNumber: Buffer;
  /** The name of who vouches. */
  readonly issuer: string;
  /** The name of what is vouched for. */
  readonly subject: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The subject's key: SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array;
  readonly extensions: readonly Buffer[];
}

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
} as const;

const ALGORITHM = sequence(objectIdentifier(OID.ecdsaWithSha256));

/** What is signed of an X.509 v3 certificate (RFC 5280), in DER. */
export function toBeSigned(content: CertificateContent): Buffer {
  // Positive, and of one length.
  const serialNumber = Buffer.from(content.serialNumber);
  serialNumber[0] = (serialNumber[0]! & 0x7f) | 0x40;
  return sequence(
    der(0xa0, unsignedInteger(Buffer.from([2]))),
    unsignedInteger(serialNumber),
    ALGORITHM,
    name(content.issuer),
    sequence(time(content.notBefore), time(content.notAfter)),
    name(content.subject),
    content.publicKey,
    der(0xa3, sequence(...content.extensions)),
  );
}

/** @param signature ECDSA with SHA-256 over `content`, in DER */
export function signedCertificate(content: Buffer, signature: Uint8Array): string {
  return pem('CERTIFICATE', sequence(content, ALGORITHM, bits(signature)));
}

/** Extensions of an authority that vouches for servers, and for no other authority. */
export function authorityExtensions(keyId: Buffer): Buffer[] {
  return [
    extension(OID.basicConstraints, true, sequence(yes(), unsignedInteger(Buffer.from([0])))),
    // Signing certificates is the sixth bit; two of the byte's bits are not used.
    extension(OID.keyUsage, true, bits(Buffer.from([0x04]), 2)),
    extension(OID.subjectKeyIdentifier, false, octets(keyId)),
  ];
}

/** Extensions of a server that has these names and can vouch for nothing. */
export function serverExtensions(names: readonly string[], authorityKeyId?: Buffer): Buffer[] {
  const alternatives = names.map((each) => der(0x82, Buffer.from(each, 'ascii')));
  return [
    extension(OID.basicConstraints, true, sequence()),
    // Digital signature is the first bit; seven of the byte's bits are not used.
    extension(OID.keyUsage, true, bits(Buffer.from([0x80]), 7)),
    extension(OID.extendedKeyUsage, false, sequence(objectIdentifier(OID.serverAuthentication))),
    extension(OID.subjectAlternativeName, false, sequence(...alternatives)),
    ...(authorityKeyId ? [extension(OID.authorityKeyIdentifier, false, sequence(der(0x80, authorityKeyId)))] : []),
  ];
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(oid), ...(critical ? [yes()] : []), octets(value));
}

function name(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier(OID.commonName), utf8(commonName.slice(0, 64)))));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
