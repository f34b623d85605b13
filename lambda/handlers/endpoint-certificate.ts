import { setTimeout as pause } from 'node:timers/promises';
import { ACMClient, DeleteCertificateCommand, ImportCertificateCommand } from '@aws-sdk/client-acm';
import {
  endpointCertificate,
  type EndpointCertificatePorts,
  type EndpointCertificateProperties,
} from '../custom-resources/endpoint-certificate';
import { answerCloudFormation, type CustomResourceEvent, putAnswer } from '../custom-resources/protocol';

const acm = new ACMClient({});

const ports: EndpointCertificatePorts = {
  importCertificate: async ({ certificate, privateKey }, stackName) => {
    const { CertificateArn: arn } = await acm.send(
      new ImportCertificateCommand({
        Certificate: Buffer.from(certificate),
        PrivateKey: Buffer.from(privateKey),
        Tags: [{ Key: 'stack', Value: stackName }],
      }),
    );
    if (!arn) throw new Error('ACM gave no ARN for the imported certificate');
    return arn;
  },
  deleteCertificate: async (arn) => {
    await acm.send(new DeleteCertificateCommand({ CertificateArn: arn }));
  },
  pause: (ms) => pause(ms),
  now: () => new Date(),
};

/** Entry point of the custom resource that makes the internal balancer's certificate. */
export function handler(event: CustomResourceEvent<EndpointCertificateProperties>): Promise<void> {
  return answerCloudFormation(event, (asked) => endpointCertificate(asked, ports), putAnswer);
}
