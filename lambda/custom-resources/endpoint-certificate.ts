import {
  authorityCertificate,
  isDue,
  type ServerCertificate,
  serverCertificate,
  type SigningKey,
} from '../security/endpoint-authority';
import type { CustomResourceEvent, CustomResourceResult } from './protocol';

/** Properties of the resource that keeps the internal balancers' certificate. CloudFormation passes all as strings. */
export interface EndpointCertificateProperties {
  readonly ServerName: string;
  readonly ValidityDays: string;
  /** ARN of the key in KMS that signs. */
  readonly AuthorityKey: string;
  /** Counted up to renew authority and certificate. */
  readonly Serial?: string;
}

/** What the schedule asks for: to renew a certificate once it is time. */
export interface RenewalRequest extends Omit<EndpointCertificateProperties, 'Serial'> {
  readonly CertificateArn: string;
}

/** What the resource needs from outside. */
export interface EndpointCertificatePorts {
  /** The key that signs, by its ARN. */
  readonly signingKey: (arn: string) => Promise<SigningKey>;
  /** Imports a certificate as a new one of a stack, and returns its ARN. */
  readonly importCertificate: (certificate: ServerCertificate, stackName: string) => Promise<string>;
  /** Imports a certificate in place of an older one: what uses that goes on to the new one. */
  readonly replaceCertificate: (certificate: ServerCertificate, arn: string) => Promise<void>;
  /** The certificate that is in use, and that of its authority, PEM. */
  readonly readCertificate: (arn: string) => Promise<Pick<ServerCertificate, 'certificate' | 'authority'>>;
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
 * Keeps a certificate in ACM, signed by a key that never leaves KMS. Its own key is in this function's memory for the
 * moment of the import, and nowhere else but in ACM.
 *
 * A change replaces it in place, under an authority of the same key: clients accept the new one before they learn of the new
 * authority, and after. Should its name change, it has the former one, too, until its next renewal. Only under
 * another key it is another certificate, and CloudFormation deletes the old one when nothing uses it any more.
 */
export async function endpointCertificate(
  event: CustomResourceEvent<EndpointCertificateProperties>,
  ports: EndpointCertificatePorts,
): Promise<CustomResourceResult> {
  const { ResourceProperties: properties, OldResourceProperties: former, PhysicalResourceId: arn } = event;
  if (event.RequestType === 'Delete') {
    await deleteWhenFree(arn ?? '', ports);
    return { physicalId: arn ?? '' };
  }
  const validityDays = daysOf(properties);
  const now = ports.now();
  const key = await ports.signingKey(properties.AuthorityKey);
  const authority = await authorityCertificate(key, now);
  const replaced = former?.AuthorityKey === properties.AuthorityKey ? former : undefined;
  const serverNames = [...new Set([properties.ServerName, replaced?.ServerName ?? properties.ServerName])];
  const made = await serverCertificate(key, authority, { serverNames, validityDays, now });
  let physicalId = arn;
  if (replaced && physicalId) await ports.replaceCertificate(made, physicalId);
  else physicalId = await ports.importCertificate(made, stackNameOf(event.StackId));
  return { physicalId, data: { Arn: physicalId, Certificate: authority } };
}

/**
 * Replaces a certificate in place before it expires, under the authority that its clients trust.
 *
 * @returns whether it was time
 */
export async function renewCertificate(request: RenewalRequest, ports: EndpointCertificatePorts): Promise<boolean> {
  const { CertificateArn: arn, ServerName } = request;
  const [validityDays, now] = [daysOf(request), ports.now()];
  const { certificate, authority } = await ports.readCertificate(arn);
  if (!isDue(certificate, authority, validityDays, now)) return false;
  const key = await ports.signingKey(request.AuthorityKey);
  const made = await serverCertificate(key, authority, { serverNames: [ServerName], validityDays, now });
  await ports.replaceCertificate(made, arn);
  return true;
}

function daysOf({ ValidityDays }: Pick<EndpointCertificateProperties, 'ValidityDays'>): number {
  const days = Number(ValidityDays);
  if (Number.isInteger(days) && days >= 1 && days <= MOST_DAYS) return days;
  throw new Error(`ValidityDays must be a whole number from 1 to ${MOST_DAYS}, got ${ValidityDays}`);
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
