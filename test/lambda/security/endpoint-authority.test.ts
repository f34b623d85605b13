import { describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { httpBackends } from '../../../lambda/backends/http-backends';
import {
  authorityCertificate,
  isDue,
  serverCertificate,
  type ServerCertificate,
  type SigningKey,
} from '../../../lambda/security/endpoint-authority';
import { backend } from '../policy';

const NOW = new Date();
const DAY_MS = 86_400_000;
const inDays = (days: number) => new Date(NOW.getTime() + days * DAY_MS);

/** A key as KMS keeps it. */
function keptKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    sign: (content) => Promise.resolve(sign('sha256', content, { key: privateKey, dsaEncoding: 'der' })),
  };
}

async function made(key = keptKey(), names = ['fleet.internal'], validityDays = 90, now = NOW) {
  const authority = await authorityCertificate(key, now);
  return serverCertificate(key, authority, { serverNames: names, validityDays, now });
}

/** Whether the backend client reaches a server that shows a certificate with the one of its authority, as a balancer does. */
async function isTrusted(server: ServerCertificate, ca: string, serverName = 'fleet.internal'): Promise<boolean> {
  const shown = { cert: server.certificate + server.authority, key: server.privateKey };
  const listening = createServer(shown, (_, response) => response.end('{}'));
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  try {
    const answer = await httpBackends({ first: { url, serverName, ca } })({
      backend: backend(),
      path: '/v1/embeddings',
      body: '{}',
      headers: {},
      firstByteMs: 1000,
      signal: new AbortController().signal,
    });
    answer.discard();
    return answer.status === 200;
  } catch (error) {
    expect(error).toMatchObject({ name: 'BackendFailure', kind: 'connect' });
    return false;
  } finally {
    listening.closeAllConnections();
    await new Promise((resolve) => listening.close(resolve));
  }
}

describe('an authority of endpoints', () => {
  it('vouches for servers and for itself, and for no other authority', async () => {
    const key = keptKey();
    const authority = new X509Certificate(await authorityCertificate(key, NOW));
    expect(authority.ca).toBe(true);
    expect(authority.verify(authority.publicKey)).toBe(true);
    expect(authority.subject).toMatch(/^CN=Model endpoints [0-9a-f]{40}$/);
    expect(new Date(authority.validTo).getTime()).toBeCloseTo(inDays(3653).getTime(), -4);
    const server = new X509Certificate((await made(key)).certificate);
    expect(server.checkIssued(authority)).toBe(true);
    expect(server.verify(authority.publicKey)).toBe(true);
  });

  it('has a name of its own for each key, and the same one with the same key', async () => {
    const key = keptKey();
    const subject = async (from: SigningKey) => new X509Certificate(await authorityCertificate(from, NOW)).subject;
    expect(await subject(key)).toBe(await subject(key));
    expect(await subject(keptKey())).not.toBe(await subject(key));
  });
});

describe('a server’s certificate', () => {
  it('names its server, vouches for nothing else, and holds for its time', async () => {
    const parsed = new X509Certificate((await made()).certificate);
    expect(parsed.subject).toBe('CN=fleet.internal');
    expect(parsed.subjectAltName).toBe('DNS:fleet.internal');
    expect(parsed.ca).toBe(false);
    expect(parsed.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(new Date(parsed.validFrom).getTime()).toBeLessThan(NOW.getTime());
    expect(new Date(parsed.validTo).getTime()).toBeCloseTo(inDays(90).getTime(), -4);
  });

  it('holds beyond 2050, for long names and several', async () => {
    const serverName = `${'a'.repeat(60)}.${'b'.repeat(60)}.internal`;
    const { certificate } = await made(keptKey(), [serverName, 'former.internal'], 3650, new Date('2045-01-01'));
    const parsed = new X509Certificate(certificate);
    expect(parsed.validTo).toContain('2054');
    expect(parsed.subjectAltName).toBe(`DNS:${serverName}, DNS:former.internal`);
  });

  it('holds no longer than its authority', async () => {
    const key = keptKey();
    const authority = await authorityCertificate(key, NOW);
    const request = { serverNames: ['fleet.internal'], validityDays: 398, now: inDays(3600) };
    const { certificate } = await serverCertificate(key, authority, request);
    expect(new X509Certificate(certificate).validTo).toBe(new X509Certificate(authority).validTo);
  });

  it('is trusted by the backend client for its own names alone, through its authority', async () => {
    const [server, stranger] = [await made(), await made()];
    expect(await isTrusted(server, server.authority)).toBe(true);
    expect(await isTrusted(server, server.authority, 'other.internal')).toBe(false);
    expect(await isTrusted(server, stranger.authority)).toBe(false);
    // What is trusted is the authority and not whatever the server shows beside its certificate.
    expect(await isTrusted({ ...server, authority: '' }, server.authority)).toBe(true);
    expect(await isTrusted(server, stranger.authority + server.authority)).toBe(true);
  });

  it('is trusted before and after its clients learn of a renewed authority of the same key', async () => {
    const key = keptKey();
    const [before, after] = [await made(key, undefined, 90, inDays(-30)), await made(key)];
    expect(before.authority).not.toBe(after.authority);
    expect(await isTrusted(after, before.authority)).toBe(true);
    expect(await isTrusted(before, after.authority)).toBe(true);
  });

  it('is due once a third of its time is left, and while a new one would hold longer', async () => {
    const { certificate, authority } = await made();
    const due = (days: number) => isDue(certificate, authority, 90, inDays(days));
    expect([0, 59, 61, 89, 91].map(due)).toEqual([false, false, true, true, true]);
    const key = keptKey();
    const old = await authorityCertificate(key, inDays(-3600));
    const last = await serverCertificate(key, old, { serverNames: ['a.internal'], validityDays: 398, now: NOW });
    expect(isDue(last.certificate, old, 398, inDays(1))).toBe(false);
  });
});
