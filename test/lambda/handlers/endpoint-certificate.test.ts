import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';
import { invokeBuilt } from './invoke-built';

const STACK = 'arn:aws:cloudformation:eu-west-1:1:stack/Platform/id';

interface Answer {
  readonly Status: string;
  readonly Reason?: string;
  readonly PhysicalResourceId: string;
  readonly Data: { readonly Arn: string; readonly Certificate: string };
}

if (!hasMoto) {
  it.skip('the certificate of endpoints against moto: python3 lacks moto, install it by python3 -m pip install "moto[server]"', () => {
    throw new Error('unreachable');
  });
} else {
  describe('the built function of the endpoints’ certificate, against moto', () => {
    let moto: MotoServer;
    let cloudFormation: Server;
    let properties: Record<string, string>;
    const answers: Answer[] = [];

    beforeAll(async () => {
      moto = await startMoto();
      cloudFormation = createServer((request, response) => {
        let text = '';
        request.on('data', (part: Buffer) => (text += part.toString()));
        request.on('end', () => {
          answers.push(JSON.parse(text) as Answer);
          response.end();
        });
      });
      await new Promise<void>((listening) => cloudFormation.listen(0, '127.0.0.1', listening));
      const AuthorityKey = moto.python(`
key = aws('kms').create_key(KeySpec='ECC_NIST_P256', KeyUsage='SIGN_VERIFY')['KeyMetadata']['Arn']
print(json.dumps(key))`) as string;
      properties = { ServerName: 'fleet.internal', ValidityDays: '398', AuthorityKey, Serial: '1' };
    }, 90_000);
    afterAll(async () => {
      cloudFormation.closeAllConnections();
      await Promise.all([moto.close(), new Promise((closed) => cloudFormation.close(closed))]);
    });

    /** What CloudFormation is told of a request. */
    async function ask(type: string, more: object = {}): Promise<Answer> {
      const url = `http://127.0.0.1:${(cloudFormation.address() as AddressInfo).port}/`;
      const common = { ResponseURL: url, StackId: STACK, RequestId: 'r', LogicalResourceId: 'L' };
      const event = { ...common, RequestType: type, ResourceProperties: properties, ...more };
      await invokeBuilt('endpoint-certificate', [event], moto.environment);
      return answers.at(-1)!;
    }

    const inUse = (arn: string) =>
      moto.python(`
print(json.dumps({k: v for k, v in aws('acm').get_certificate(CertificateArn='${arn}').items() if k != 'ResponseMetadata'}))`) as {
        readonly Certificate: string;
        readonly CertificateChain: string;
      };
    const isSignedBy = (certificate: string, authority: string) =>
      new X509Certificate(certificate).verify(new X509Certificate(authority).publicKey);

    it('makes it by the key in KMS, keeps its ARN through changes and renewals, and deletes it', async () => {
      const created = await ask('Create');
      expect(created).toMatchObject({ Status: 'SUCCESS', Data: { Arn: created.PhysicalResourceId } });
      const { PhysicalResourceId: arn } = created;
      const first = inUse(arn);
      // moto adds one of Amazon's to every chain.
      expect(first.CertificateChain).toContain(created.Data.Certificate.trim());
      expect(isSignedBy(first.Certificate, created.Data.Certificate)).toBe(true);

      const renewal = { ...properties, CertificateArn: arn };
      const early = await invokeBuilt('endpoint-certificate', [renewal], moto.environment);
      expect(early.lines).toEqual([{ level: 'info', message: 'certificate not due', CertificateArn: arn }]);

      // A certificate of 7 days is due for one that is to hold for 398.
      const short = { ResourceProperties: { ...properties, ValidityDays: '7' }, OldResourceProperties: properties };
      const updated = await ask('Update', { ...short, PhysicalResourceId: arn });
      expect(updated).toMatchObject({ Status: 'SUCCESS', PhysicalResourceId: arn });
      const second = inUse(arn).Certificate;
      expect(isSignedBy(second, created.Data.Certificate)).toBe(true);
      const { lines } = await invokeBuilt('endpoint-certificate', [renewal], moto.environment);
      expect(lines).toEqual([{ level: 'info', message: 'certificate renewed', CertificateArn: arn }]);
      const third = inUse(arn);
      expect(isSignedBy(third.Certificate, created.Data.Certificate)).toBe(true);
      expect(third.CertificateChain).toContain(updated.Data.Certificate.trim());
      expect(Date.parse(new X509Certificate(third.Certificate).validTo)).toBeGreaterThan(
        Date.parse(new X509Certificate(second).validTo) + 300 * 86_400_000,
      );

      expect(await ask('Delete', { PhysicalResourceId: arn })).toMatchObject({ Status: 'SUCCESS' });
      expect(() => inUse(arn)).toThrow('ResourceNotFoundException');
    });
  });
}
