import { setTimeout as pause } from 'node:timers/promises';
import {
  ACMClient,
  DeleteCertificateCommand,
  GetCertificateCommand,
  ImportCertificateCommand,
  type ImportCertificateCommandInput,
} from '@aws-sdk/client-acm';
import { awsService, callJson } from '../aws/service';
import {
  endpointCertificate,
  type EndpointCertificatePorts,
  type EndpointCertificateProperties,
  renewCertificate,
  type RenewalRequest,
} from '../custom-resources/endpoint-certificate';
import { answerCloudFormation, type CustomResourceEvent, putAnswer } from '../custom-resources/protocol';
import { lineWriter } from '../observability/line-writer';
import type { ServerCertificate } from '../security/endpoint-authority';

const KMS_TIMEOUT_MS = 5000;

const acm = new ACMClient({});
const kms = awsService(process.env, 'kms', KMS_TIMEOUT_MS);
const writeLine = lineWriter(process.stdout);

const bytesOf = (text: string) => Buffer.from(text, 'base64');

const importInput = ({ certificate, privateKey, authority }: ServerCertificate): ImportCertificateCommandInput => ({
  Certificate: Buffer.from(certificate),
  PrivateKey: Buffer.from(privateKey),
  CertificateChain: Buffer.from(authority),
});

const ports: EndpointCertificatePorts = {
  signingKey: async (arn) => {
    const call = (operation: string, input: object) =>
      callJson(kms, `TrentService.${operation}`, { KeyId: arn, ...input }, { version: '1.1' });
    const { PublicKey } = (await call('GetPublicKey', {})) as { readonly PublicKey: string };
    return {
      publicKey: bytesOf(PublicKey),
      sign: async (content) => {
        const input = { Message: content.toString('base64'), MessageType: 'RAW', SigningAlgorithm: 'ECDSA_SHA_256' };
        return bytesOf(((await call('Sign', input)) as { readonly Signature: string }).Signature);
      },
    };
  },
  importCertificate: async (made, stackName) => {
    const { CertificateArn: arn } = await acm.send(
      new ImportCertificateCommand({ ...importInput(made), Tags: [{ Key: 'stack', Value: stackName }] }),
    );
    if (!arn) throw new Error('ACM gave no ARN for the imported certificate');
    return arn;
  },
  replaceCertificate: async (made, arn) => {
    await acm.send(new ImportCertificateCommand({ ...importInput(made), CertificateArn: arn }));
  },
  readCertificate: async (arn) => {
    const { Certificate, CertificateChain } = await acm.send(new GetCertificateCommand({ CertificateArn: arn }));
    if (!Certificate || !CertificateChain) throw new Error(`${arn} has no certificate of an authority: it is not ours`);
    return { certificate: Certificate, authority: CertificateChain };
  },
  deleteCertificate: async (arn) => {
    await acm.send(new DeleteCertificateCommand({ CertificateArn: arn }));
  },
  pause: (ms) => pause(ms),
  now: () => new Date(),
};

/** Entry point of the custom resource that keeps the internal balancers' certificate, and of its daily renewal. */
export async function handler(
  event: CustomResourceEvent<EndpointCertificateProperties> | RenewalRequest,
): Promise<void> {
  if ('RequestType' in event) {
    await answerCloudFormation(event, (asked) => endpointCertificate(asked, ports), putAnswer);
    return;
  }
  const isRenewed = await renewCertificate(event, ports);
  const message = isRenewed ? 'certificate renewed' : 'certificate not due';
  writeLine(JSON.stringify({ level: 'info', message, CertificateArn: event.CertificateArn }));
}
