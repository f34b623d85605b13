import { describe, expect, it } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { httpBackends } from '../../../lambda/backends/http-backends';
import { selfSignedCertificate } from '../../../lambda/security/self-signed-certificate';
import { backend } from '../policy';

const NOW = new Date();

describe('a self-signed certificate', () => {
  it('names its server, vouches for nothing else, and holds for its time', () => {
    const { certificate } = selfSignedCertificate({ serverName: 'fleet.internal', validityDays: 90, now: NOW });
    const parsed = new X509Certificate(certificate);
    expect(parsed.subject).toBe('CN=fleet.internal');
    expect(parsed.subjectAltName).toBe('DNS:fleet.internal');
    expect(parsed.ca).toBe(false);
    expect(parsed.verify(parsed.publicKey)).toBe(true);
    expect(parsed.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(new Date(parsed.validFrom).getTime()).toBeLessThan(NOW.getTime());
    expect(new Date(parsed.validTo).getTime()).toBeCloseTo(NOW.getTime() + 90 * 86_400_000, -4);
  });

  it('holds beyond 2050 and for long names', () => {
    const serverName = `${'a'.repeat(60)}.${'b'.repeat(60)}.internal`;
    const made = selfSignedCertificate({ serverName, validityDays: 3650, now: new Date('2045-01-01') });
    const parsed = new X509Certificate(made.certificate);
    expect(parsed.validTo).toContain('2054');
    expect(parsed.subjectAltName).toBe(`DNS:${serverName}`);
  });

  it('is trusted by the backend client for its own name alone', async () => {
    const made = selfSignedCertificate({ serverName: 'fleet.internal', validityDays: 1, now: NOW });
    const server = createServer({ cert: made.certificate, key: made.privateKey }, (_, response) => response.end('{}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const call = (serverName: string) =>
      httpBackends({ first: { url, serverName, ca: made.certificate } })({
        backend: backend(),
        path: '/v1/embeddings',
        body: '{}',
        headers: {},
        firstByteMs: 1000,
        signal: new AbortController().signal,
      });
    const answer = await call('fleet.internal');
    expect(answer.status).toBe(200);
    answer.discard();
    await expect(call('other.internal')).rejects.toMatchObject({ name: 'BackendFailure' });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});
