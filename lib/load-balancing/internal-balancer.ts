import { type Duration, type RemovalPolicy } from 'aws-cdk-lib';
import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { LogBucket } from '../security/log-bucket';
import { logAccess } from './access-log';
import { EndpointCertificate } from './endpoint-certificate';
import { validateSeconds } from './ranges';

/** Properties that the endpoints of models and of functions share. */
export interface EndpointProps {
  /** Network of the endpoint; it is placed in the private subnets. */
  readonly vpc: ec2.IVpc;

  /**
   * Subnets of the load balancer, in at least two zones.
   *
   * @default - the private subnets with egress
   */
  readonly vpcSubnets?: ec2.SubnetSelection;

  /**
   * A certificate made at deployment that endpoints share.
   *
   * @default - one is made for this endpoint, unless it is given a certificate of another kind
   */
  readonly endpointCertificate?: EndpointCertificate;

  /**
   * Bucket for the access logs. An imported one must already let `logdelivery.elasticloadbalancing.amazonaws.com` write.
   *
   * @default - a new `LogBucket`
   */
  readonly logBucket?: s3.IBucket;

  /**
   * Whether the load balancer refuses to be deleted.
   *
   * @default true
   */
  readonly deletionProtection?: boolean;

  /**
   * Encrypts the log of the function that makes the certificate.
   *
   * @default - encrypted by CloudWatch Logs' own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long the log of the function that makes the certificate is kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to the logs when they leave the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/** What is an endpoint's own about its load balancer. */
interface BalancerSettings {
  /** Of the security group. */
  readonly description: string;
  readonly idleTimeout: Duration;
  /** Whether a zonal shift may take a zone out of it; left as it is where this is absent. */
  readonly zonalShift?: boolean;
}

/** A load balancer inside the network, with its access log, and who may reach it: nobody yet. */
export function internalBalancer(
  scope: Construct,
  { vpc, vpcSubnets, logBucket, deletionProtection, removalPolicy }: EndpointProps,
  { description, idleTimeout, zonalShift }: BalancerSettings,
): { loadBalancer: elbv2.ApplicationLoadBalancer; connections: ec2.Connections } {
  validateSeconds('idleTimeout', idleTimeout, 1, 4000);
  const securityGroup = new ec2.SecurityGroup(scope, 'SecurityGroup', { vpc, description, allowAllOutbound: false });
  const loadBalancer = new elbv2.ApplicationLoadBalancer(scope, 'LoadBalancer', {
    vpc,
    vpcSubnets: vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
    internetFacing: false,
    securityGroup,
    dropInvalidHeaderFields: true,
    desyncMitigationMode: elbv2.DesyncMitigationMode.STRICTEST,
    idleTimeout,
    deletionProtection: deletionProtection ?? true,
  });
  if (zonalShift !== undefined) loadBalancer.setAttribute('zonal_shift.config.enabled', String(zonalShift));
  logAccess(loadBalancer, logBucket ?? new LogBucket(scope, 'Logs', { removalPolicy }));
  return {
    loadBalancer,
    connections: new ec2.Connections({ securityGroups: [securityGroup], defaultPort: ec2.Port.tcp(443) }),
  };
}

/** The certificate that endpoints share, or one of this endpoint's own. */
export function sharedOrOwnCertificate(
  scope: Construct,
  { endpointCertificate, encryptionKey, logRetention, removalPolicy }: EndpointProps,
): EndpointCertificate {
  return (
    endpointCertificate ?? new EndpointCertificate(scope, 'Certificate', { encryptionKey, logRetention, removalPolicy })
  );
}

/** The listener of an internal load balancer: TLS 1.3, reached by whom the endpoint lets in. */
export function httpsListener(
  loadBalancer: elbv2.ApplicationLoadBalancer,
  certificate: acm.ICertificate,
  targetGroup: elbv2.ApplicationTargetGroup,
): elbv2.ApplicationListener {
  return loadBalancer.addListener('Https', {
    port: 443,
    protocol: elbv2.ApplicationProtocol.HTTPS,
    open: false,
    certificates: [certificate],
    sslPolicy: elbv2.SslPolicy.TLS13_13,
    defaultTargetGroups: [targetGroup],
  });
}
