import { describe, expect, it, jest } from '@jest/globals';
import {
  endpointCertificate,
  type EndpointCertificatePorts,
} from '../../../lambda/custom-resources/endpoint-certificate';
import {
  answerCloudFormation,
  type CustomResourceEvent,
  type CustomResourceResult,
} from '../../../lambda/custom-resources/protocol';
import { tenantKey } from '../../../lambda/custom-resources/tenant-key';
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
  const ports = (changes: Partial<EndpointCertificatePorts> = {}): EndpointCertificatePorts => ({
    importCertificate: () => Promise.resolve('arn:cert'),
    deleteCertificate: () => Promise.resolve(),
    pause: () => Promise.resolve(),
    now: () => new Date(),
    ...changes,
  });
  const properties = { ServerName: 'fleet.internal', ValidityDays: '365', Serial: '1' };
  const named = (name: string) => Object.assign(new Error(name), { name });

  it('is imported with the stack’s name; the template gets the certificate and never the key', async () => {
    const importCertificate = jest.fn<EndpointCertificatePorts['importCertificate']>().mockResolvedValue('arn:cert');
    const made = await endpointCertificate(ask('Create', properties), ports({ importCertificate }));
    expect(made).toEqual({
      physicalId: 'arn:cert',
      data: { Arn: 'arn:cert', Certificate: expect.stringMatching(/^-----BEGIN CERTIFICATE/) },
    });
    expect(importCertificate.mock.calls[0]![1]).toBe('Platform');
    expect(JSON.stringify(made)).not.toContain('PRIVATE');
  });

  it('is deleted once the balancer lets go of it, and already gone is well', async () => {
    const remove = jest
      .fn<EndpointCertificatePorts['deleteCertificate']>()
      .mockRejectedValueOnce(named('ResourceInUseException'))
      .mockRejectedValueOnce(named('ResourceInUseException'))
      .mockRejectedValueOnce(named('ResourceNotFoundException'));
    await endpointCertificate(ask('Delete', properties, 'arn:cert'), ports({ deleteCertificate: remove }));
    expect(remove).toHaveBeenCalledTimes(3);
    const busy = ports({ deleteCertificate: () => Promise.reject(named('ResourceInUseException')) });
    await expect(endpointCertificate(ask('Delete', properties, 'arn'), busy)).rejects.toThrow('ResourceInUse');
    const denied = ports({ deleteCertificate: () => Promise.reject(named('AccessDenied')) });
    await expect(endpointCertificate(ask('Delete', properties, 'arn'), denied)).rejects.toThrow('AccessDenied');
  });

  it('refuses a validity that makes no sense', async () => {
    const asked = ask('Create', { ...properties, ValidityDays: '0' });
    await expect(endpointCertificate(asked, ports())).rejects.toThrow('ValidityDays must be');
  });
});
