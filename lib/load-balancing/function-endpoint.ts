import { Duration, type RemovalPolicy } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { LambdaTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2-targets';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { IModelEndpoint } from '../handlers/interfaces';
import { LogBucket } from '../security/log-bucket';
import { logAccess } from './access-log';
import { EndpointCertificate } from './endpoint-certificate';

/** Properties of a function's endpoint. */
export interface FunctionEndpointProps {
  /** Network of the endpoint; it is placed in the private subnets. */
  readonly vpc: ec2.IVpc;

  /** The function that answers. It gets the events of an Application Load Balancer. */
  readonly function: lambda.IFunction;

  /**
   * Subnets of the load balancer, in at least two zones.
   *
   * @default - the private subnets with egress
   */
  readonly vpcSubnets?: ec2.SubnetSelection;

  /**
   * A certificate made at deployment that endpoints share.
   *
   * @default - one is made for this endpoint
   */
  readonly endpointCertificate?: EndpointCertificate;

  /**
   * Longest silence on a connection: at least the function's own limit.
   *
   * @default Duration.minutes(1)
   */
  readonly idleTimeout?: Duration;

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

/**
 * An address inside the network for a function that serves, such as features or retrieval: an internal load balancer
 * with TLS, which the gateway calls as it calls any backend, behind the backend's breaker. A request and an answer may
 * have 1 MB.
 */
export class FunctionEndpoint extends Construct implements IModelEndpoint {
  public readonly url: string;
  public readonly serverName?: string;
  public readonly certificate?: string;
  public readonly connections: ec2.Connections;

  /** The load balancer. */
  public readonly loadBalancer: elbv2.ApplicationLoadBalancer;

  /** The HTTPS listener. */
  public readonly listener: elbv2.ApplicationListener;

  /** The function as a target. */
  public readonly targetGroup: elbv2.ApplicationTargetGroup;

  constructor(scope: Construct, id: string, props: FunctionEndpointProps) {
    super(scope, id);
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Load balancer of a function',
      allowAllOutbound: false,
    });
    this.connections = new ec2.Connections({ securityGroups: [securityGroup], defaultPort: ec2.Port.tcp(443) });
    this.loadBalancer = new elbv2.ApplicationLoadBalancer(this, 'LoadBalancer', {
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      internetFacing: false,
      securityGroup,
      dropInvalidHeaderFields: true,
      desyncMitigationMode: elbv2.DesyncMitigationMode.STRICTEST,
      idleTimeout: props.idleTimeout ?? Duration.minutes(1),
      deletionProtection: props.deletionProtection ?? true,
    });
    logAccess(
      this.loadBalancer,
      props.logBucket ?? new LogBucket(this, 'Logs', { removalPolicy: props.removalPolicy }),
    );

    // No health check: it would be an invocation each time, and the gateway's breaker sees failures sooner.
    this.targetGroup = new elbv2.ApplicationTargetGroup(this, 'Target', {
      targetType: elbv2.TargetType.LAMBDA,
      targets: [new LambdaTarget(props.function)],
    });
    const made =
      props.endpointCertificate ??
      new EndpointCertificate(this, 'Certificate', {
        encryptionKey: props.encryptionKey,
        logRetention: props.logRetention,
        removalPolicy: props.removalPolicy,
      });
    this.listener = this.loadBalancer.addListener('Https', {
      port: 443,
      protocol: elbv2.ApplicationProtocol.HTTPS,
      open: false,
      certificates: [made.certificate],
      sslPolicy: elbv2.SslPolicy.TLS13_13,
      defaultTargetGroups: [this.targetGroup],
    });
    this.url = `https://${this.loadBalancer.loadBalancerDnsName}`;
    this.serverName = made.serverName;
    this.certificate = made.pem;
  }

  /** Calls that reached the load balancer. */
  public metricRequests(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.loadBalancer.metrics.requestCount(props);
  }

  /** Answers with a 5xx status, of the function or since it could not be called. */
  public metricServerErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.targetGroup.metrics.httpCodeTarget(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, props);
  }
}
