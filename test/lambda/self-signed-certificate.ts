import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { serverExtensions, signedCertificate, toBeSigned } from '../../lambda/security/x509';

interface Request {
  readonly serverName: string;
  readonly validityDays: number;
  readonly now: Date;
}

/** A certificate that vouches for itself, and its key, as PEM: of a server that a test starts. */
export function selfSignedCertificate({ serverName, validityDays, now }: Request): {
  readonly certificate: string;
  readonly privateKey: string;
} {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const content = toBeSigned({
    ...{ serialNumber: randomBytes(16), issuer: serverName, subject: serverName },
    notBefore: new Date(now.getTime() - 3_600_000),
    notAfter: new Date(now.getTime() + validityDays * 86_400_000),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    extensions: serverExtensions([serverName]),
  });
  return {
    certificate: signedCertificate(content, sign('sha256', content, { key: privateKey, dsaEncoding: 'der' })),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
