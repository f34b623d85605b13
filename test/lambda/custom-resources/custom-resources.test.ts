import { describe, expect, it, jest } from '@jest/globals';
import { generateKeyPairSync, type KeyPairKeyObjectResult, sign, X509Certificate } from 'node:crypto';
import {
  endpointCertificate,
  type EndpointCertificatePorts,
  renewCertificate,
} from '../../../lambda/custom-resources/endpoint-certificate';
import {
  answerCloudFormation,
  type CustomResourceEvent,
  type CustomResourceResult,
} from '../../../lambda/custom-resources/protocol';
import { tenantKey } from '../../../lambda/custom-resources/tenant-key';
import type { ServerCertificate } from '../../../lambda/security/endpoint-authority';
import { hashKey } from '../../../lambda/security/key-hash';

function ask<P>(type: 'Create' | 'Update' | 'Delete', properties: P, physicalId?: string): CustomResourceEvent<P> {
  return {
    RequestType: type,
    ResponseURL: 'https://cloudformation.example/answer',
    StackId: 'arn:aws:cloudformation:eu-west-1:1:stack/Platform/id',
    RequestId: 'r',
    LogicalResourceId: 'L',
    ...(physicalId && { PhysicalResourceId: physicalId }),
    ResourceProperties: properties,
  };
}

describe('the answer to CloudFormation', () => {
  const answer = async (event: CustomResourceEvent<object>, act: () => Promise<CustomResourceResult>) => {
    let sent = '';
    await answerCloudFormation(event, act, (_, body) => {
      sent = body;
      return Promise.resolve();
    });
    return JSON.parse(sent) as Record<string, unknown>;
  };

  it('tells what was made', async () => {
    const made = { physicalId: 'p', data: { Arn: 'a' } };
    expect(await answer(ask('Create', {}), () => Promise.resolve(made))).toEqual({
      ...{ Status: 'SUCCESS', PhysicalResourceId: 'p', Data: { Arn: 'a' } },
      ...{ StackId: expect.any(String), RequestId: 'r', LogicalResourceId: 'L' },
    });
  });

  it('tells why it failed, and lets the roll-back delete what never was', async () => {
    const failed = await answer(ask('Create', {}), () => Promise.reject(new Error('no such key')));
    expect(failed).toMatchObject({ Status: 'FAILED', Reason: 'Create failed: Error: no such key' });
    const act = jest.fn<() => Promise<CustomResourceResult>>();
    const gone = await answer(ask('Delete', {}, failed.PhysicalResourceId as string), act);
    expect(gone.Status).toBe('SUCCESS');
    expect(act).not.toHaveBeenCalled();
  });
});

describe('a tenant’s key', () => {
  const properties = { TableName: 't', KeyId: 'id1', Tenant: 'acme', Plan: 'standard' };
  const items = new Map<string, unknown>();
  const ports = {
    readKey: (id: string) => Promise.resolve(`secret-of-${id}`),
    putItem: (_: string, item: { keyHash: string }) => Promise.resolve(void items.set(item.keyHash, item)),
    deleteItem: (_: string, hash: string) => Promise.resolve(void items.delete(hash)),
  };

  it('enters the table as a hash, is replaced, and leaves it without being read again', async () => {
    const hash = hashKey('secret-of-id1');
    const created = await tenantKey(ask('Create', properties), ports);
    expect(created).toEqual({ physicalId: `id1:${hash}` });
    expect(items.get(hash)).toEqual({ keyHash: hash, tenant: 'acme', plan: 'standard', keyId: 'id1' });
    const updated = await tenantKey(ask('Update', { ...properties, KeyId: 'id2' }, created.physicalId), ports);
    expect(updated.physicalId).not.toBe(created.physicalId);
    await tenantKey(ask('Delete', properties, created.physicalId), ports);
    expect([...items.keys()]).toEqual([hashKey('secret-of-id2')]);
  });
});

describe('the endpoint’s certificate', () => {
  const DAY_MS = 86_400_000;
  const START = Date.parse('2026-01-01');

  /** Certificate Manager with one certificate, and KMS with keys by their ARN. */
  function services(changes: Partial<Pick<EndpointCertificatePorts, 'deleteCertificate'>> = {}) {
    const keys = new Map<string, KeyPairKeyObjectResult>();
    const clock = { days: 0 };
    const held = new Map<string, ServerCertificate>();
    const ports = {
      signingKey: (arn: string) => {
        const { privateKey, publicKey } = keys.get(arn) ?? generateKeyPairSync('ec', { namedCurve: 'P-256' });
        keys.set(arn, { privateKey, publicKey });
        return Promise.resolve({
          publicKey: publicKey.export({ type: 'spki', format: 'der' }),
          sign: (content: Buffer) => Promise.resolve(sign('sha256', content, privateKey)),
        });
      },
      importCertificate: jest.fn<EndpointCertificatePorts['importCertificate']>((made) => {
        const arn = `arn:cert-${held.size + 1}`;
        held.set(arn, made);
        return Promise.resolve(arn);
      }),
      replaceCertificate: jest.fn<EndpointCertificatePorts['replaceCertificate']>((made, arn) => {
        held.set(arn, made);
        return Promise.resolve();
      }),
      readCertificate: (arn: string) => Promise.resolve(held.get(arn)!),
      deleteCertificate: changes.deleteCertificate ?? (() => Promise.resolve()),
      pause: () => Promise.resolve(),
      now: () => new Date(START + clock.days * DAY_MS),
    };
    return { ports, held, clock };
  }

  const properties = { ServerName: 'fleet.internal', ValidityDays: '90', AuthorityKey: 'arn:key', Serial: '1' };
  const named = (name: string) => Object.assign(new Error(name), { name });
  const change = (changed: Partial<typeof properties>, physicalId: string) => ({
    ...ask('Update', { ...properties, ...changed }, physicalId),
    OldResourceProperties: properties,
  });
  const signedBy = (certificate: string, authority: string) =>
    new X509Certificate(certificate).verify(new X509Certificate(authority).publicKey);

  it('is imported with the stack’s name; the template gets the authority’s certificate and never a key', async () => {
    const { ports, held } = services();
    const made = await endpointCertificate(ask('Create', properties), ports);
    expect(made).toEqual({
      physicalId: 'arn:cert-1',
      data: { Arn: 'arn:cert-1', Certificate: expect.stringMatching(/^-----BEGIN CERTIFICATE/) },
    });
    expect(ports.importCertificate.mock.calls[0]![1]).toBe('Platform');
    expect(JSON.stringify(made)).not.toContain('PRIVATE');
    const { certificate, authority } = held.get('arn:cert-1')!;
    expect(authority).toBe(made.data!.Certificate);
    expect(signedBy(certificate, authority)).toBe(true);
  });

  it('is replaced where it is by a change, under an authority whose former certificate vouches for it too', async () => {
    const { ports, held } = services();
    const created = await endpointCertificate(ask('Create', properties), ports);
    const before = held.get('arn:cert-1')!;
    const updated = await endpointCertificate(change({ Serial: '2' }, created.physicalId), ports);
    expect(updated.physicalId).toBe(created.physicalId);
    const after = held.get('arn:cert-1')!;
    expect(after.authority).toBe(updated.data!.Certificate);
    expect(after.authority).not.toBe(before.authority);
    expect(signedBy(after.certificate, before.authority)).toBe(true);
    expect(signedBy(before.certificate, after.authority)).toBe(true);
  });

  it('has its former name, too, until it is renewed', async () => {
    const { ports, held, clock } = services();
    const { physicalId } = await endpointCertificate(ask('Create', properties), ports);
    await endpointCertificate(change({ ServerName: 'models.internal' }, physicalId), ports);
    const names = () => new X509Certificate(held.get(physicalId)!.certificate).subjectAltName;
    expect(names()).toBe('DNS:models.internal, DNS:fleet.internal');
    clock.days = 80;
    await renewCertificate({ ...properties, ServerName: 'models.internal', CertificateArn: physicalId }, ports);
    expect(names()).toBe('DNS:models.internal');
  });

  it('is another one under another key', async () => {
    const { ports } = services();
    const { physicalId } = await endpointCertificate(ask('Create', properties), ports);
    const updated = await endpointCertificate(change({ AuthorityKey: 'arn:other' }, physicalId), ports);
    expect(updated.physicalId).toBe('arn:cert-2');
    expect(ports.replaceCertificate).not.toHaveBeenCalled();
  });

  it('is renewed by itself once a third of its time is left, under the authority that is trusted', async () => {
    const { ports, held, clock } = services();
    const { physicalId, data } = await endpointCertificate(ask('Create', properties), ports);
    const request = { ...properties, CertificateArn: physicalId };
    const ends: number[] = [];
    for (clock.days = 1; clock.days <= 3653; clock.days++) {
      await renewCertificate(request, ports);
      const { certificate, authority } = held.get(physicalId)!;
      expect(authority).toBe(data!.Certificate);
      ends.push((Date.parse(new X509Certificate(certificate).validTo) - ports.now().getTime()) / DAY_MS);
    }
    // Never less than a third but in the last 30 days of the authority, of which the alarm tells.
    expect(Math.min(...ends.slice(0, -31))).toBeGreaterThanOrEqual(29);
    expect(ports.replaceCertificate.mock.calls.length).toBeLessThan(66);
    expect(ports.importCertificate).toHaveBeenCalledTimes(1);
  });

  it('is deleted once the balancer lets go of it, and already gone is well', async () => {
    const remove = jest
      .fn<EndpointCertificatePorts['deleteCertificate']>()
      .mockRejectedValueOnce(named('ResourceInUseException'))
      .mockRejectedValueOnce(named('ResourceInUseException'))
      .mockRejectedValueOnce(named('ResourceNotFoundException'));
    const deleting = (deleteCertificate: EndpointCertificatePorts['deleteCertificate']) =>
      endpointCertificate(ask('Delete', properties, 'arn:cert'), services({ deleteCertificate }).ports);
    await deleting(remove);
    expect(remove).toHaveBeenCalledTimes(3);
    await expect(deleting(() => Promise.reject(named('ResourceInUseException')))).rejects.toThrow('ResourceInUse');
    await expect(deleting(() => Promise.reject(named('AccessDenied')))).rejects.toThrow('AccessDenied');
  });

  it('refuses a validity that makes no sense', async () => {
    const asked = ask('Create', { ...properties, ValidityDays: '0' });
    await expect(endpointCertificate(asked, services().ports)).rejects.toThrow('ValidityDays must be');
  });
});
