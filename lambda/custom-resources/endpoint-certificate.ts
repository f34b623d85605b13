import { type Certificate, selfSignedCertificate } from '../security/self-signed-certificate';
import type { CustomResourceEvent, CustomResourceResult } from './protocol';

/** Properties of the resource that makes the internal balancer's certificate. CloudFormation passes all as strings. */
export interface EndpointCertificateProperties {
  readonly ServerName: string;
  readonly ValidityDays: string;
  /** Counted up to replace the certificate. */
  readonly Serial?: string;
}

/** What the resource needs from outside. */
export interface EndpointCertificatePorts {
  /** Imports a certificate and returns its ARN. */
  readonly importCertificate: (certificate: Certificate, stackName: string) => Promise<string>;
  /** Deletes a certificate; fails with ResourceInUseException or ResourceNotFoundException. */
  readonly deleteCertificate: (arn: string) => Promise<void>;
  readonly pause: (ms: number) => Promise<void>;
  readonly now: () => Date;
}

/** A balancer lets go of its certificate some time after its listener has gone: about two minutes in all. */
const PAUSES_MS = [1000, 2000, 4000, 8000, 15_000, 30_000, 30_000, 30_000];

/** ACM takes certificates of any length of time; browsers' limits do not hold between services. */
const MOST_DAYS = 3650;

/**
 * Keeps a certificate in ACM. The key is in this function's memory for the moment of the import, and nowhere else but
 * in ACM. A change makes a new certificate, and CloudFormation deletes the old one when nothing uses it any more.
 */
export async function endpointCertificate(
  event: CustomResourceEvent<EndpointCertificateProperties>,
  ports: EndpointCertificatePorts,
): Promise<CustomResourceResult> {
  if (event.RequestType === 'Delete') {
    const arn = event.PhysicalResourceId ?? '';
    await deleteWhenFree(arn, ports);
    return { physicalId: arn };
  }
  const { ServerName: serverName, ValidityDays } = event.ResourceProperties;
  const validityDays = Number(ValidityDays);
  if (!Number.isInteger(validityDays) || validityDays < 1 || validityDays > MOST_DAYS) {
    throw new Error(`ValidityDays must be a whole number from 1 to ${MOST_DAYS}, got ${ValidityDays}`);
  }
  const made = selfSignedCertificate({ serverName, validityDays, now: ports.now() });
  const arn = await ports.importCertificate(made, stackNameOf(event.StackId));
  return { physicalId: arn, data: { Arn: arn, Certificate: made.certificate } };
}

async function deleteWhenFree(
  arn: string,
  { deleteCertificate, pause }: Pick<EndpointCertificatePorts, 'deleteCertificate' | 'pause'>,
): Promise<void> {
  for (const wait of [...PAUSES_MS, undefined]) {
    try {
      await deleteCertificate(arn);
      return;
    } catch (error) {
      const { name } = error as Error;
      if (name === 'ResourceNotFoundException') return;
      if (name !== 'ResourceInUseException' || wait === undefined) throw error;
      await pause(wait);
    }
  }
}

/** `arn:aws:cloudformation:region:account:stack/NAME/id` */
function stackNameOf(stackId: string): string {
  return stackId.split('/')[1] ?? stackId;
}
