import { Duration } from 'aws-cdk-lib';
import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';
import type { IModelEndpoint } from '../handlers/interfaces';
import { Balancing, balancingProperties, controlPortOf, validateBalancing } from './balancing';
import type { EndpointCertificate } from './endpoint-certificate';
import { type EndpointProps, httpsListener, internalBalancer, sharedOrOwnCertificate } from './internal-balancer';

/** Properties of a model endpoint. */
export interface ModelEndpointProps extends EndpointProps {
  /**
   * Certificate of the endpoint. Goes with `serverName`.
   *
   * @default - made at deployment, see `endpointCertificate`
   */
  readonly certificate?: acm.ICertificate;

  /**
   * The host name that `certificate` is for. It must be signed by a public authority; the name need not resolve.
   *
   * @default - that of the certificate made at deployment
   */
  readonly serverName?: string;

  /**
   * Port on which the model servers listen, with TLS.
   *
   * @default 8000
   */
  readonly targetPort?: number;

  /**
   * How the instance for a request is chosen.
   *
   * @default Balancing.LEAST_OUTSTANDING_REQUESTS
   */
  readonly balancing?: Balancing;

  /**
   * How long the share of a new instance grows until it is that of the others, 30 to 900 seconds. With
   * `Balancing.ROUND_ROBIN` only.
   *
   * @default - the full share at once: an instance is in service only once its model has answered
   */
  readonly slowStart?: Duration;

  /**
   * With `Balancing.BOUNDED_CONCURRENCY`: port on which the balancer and the agents on the instances speak. Another one
   * means another target group.
   *
   * @default 3000
   */
  readonly controlPort?: number;

  /**
   * Path that answers 200 once the model can be asked.
   *
   * @default '/health'
   */
  readonly healthCheckPath?: string;

  /**
   * How long requests in progress may go on, on an instance that leaves. At least the backend's total timeout.
   *
   * @default Duration.minutes(5)
   */
  readonly deregistrationDelay?: Duration;

  /**
   * Longest silence on a connection. It must exceed the wait for a first token.
   *
   * @default Duration.minutes(5)
   */
  readonly idleTimeout?: Duration;

  /**
   * Whether a zonal shift of Application Recovery Controller may take a zone out of the endpoint: out of its addresses and
   * its instances there. It costs nothing; the other zones must carry the load while it lasts.
   *
   * @default true
   */
  readonly zonalShift?: boolean;
}

/**
 * One address for the instances that serve a model: an internal load balancer with TLS on both sides, which sends each
 * request to the instance with the fewest in progress, or chooses otherwise (`balancing`).
 */
export class ModelEndpoint extends Construct implements IModelEndpoint {
  public readonly url: string;
  public readonly serverName?: string;
  public readonly certificate?: string;
  public readonly connections: ec2.Connections;

  /** The load balancer. */
  public readonly loadBalancer: elbv2.ApplicationLoadBalancer;

  /** The HTTPS listener. */
  public readonly listener: elbv2.ApplicationListener;

  /** The instances behind it. */
  public readonly targetGroup: elbv2.ApplicationTargetGroup;

  /** Port on which the model servers listen. */
  public readonly targetPort: number;

  /**
   * The certificate made at deployment.
   *
   * @default - it has one of another kind
   */
  public readonly endpointCertificate?: EndpointCertificate;

  private readonly boundsConcurrency: boolean;

  constructor(scope: Construct, id: string, props: ModelEndpointProps) {
    super(scope, id);
    validateCertificate(props);
    validateBalancing(props);
    this.targetPort = props.targetPort ?? 8000;

    const { loadBalancer, connections } = internalBalancer(this, props, {
      description: 'Load balancer of a model',
      idleTimeout: props.idleTimeout ?? Duration.minutes(5),
      zonalShift: props.zonalShift ?? true,
    });
    this.loadBalancer = loadBalancer;
    this.connections = connections;

    this.targetGroup = new elbv2.ApplicationTargetGroup(this, 'Targets', {
      vpc: props.vpc,
      targetType: elbv2.TargetType.INSTANCE,
      protocol: elbv2.ApplicationProtocol.HTTPS,
      port: this.targetPort,
      ...balancingProperties(props),
      deregistrationDelay: props.deregistrationDelay ?? Duration.minutes(5),
      healthCheck: {
        path: props.healthCheckPath ?? '/health',
        protocol: elbv2.Protocol.HTTPS,
        interval: Duration.seconds(10),
        timeout: Duration.seconds(5),
        healthyThresholdCount: 2,
        unhealthyThresholdCount: 3,
        healthyHttpCodes: '200',
      },
    });

    this.boundsConcurrency = props.balancing === Balancing.BOUNDED_CONCURRENCY;
    if (this.boundsConcurrency) {
      (this.targetGroup.node.defaultChild as elbv2.CfnTargetGroup).targetControlPort = controlPortOf(props);
    }

    const made = props.certificate ? undefined : sharedOrOwnCertificate(this, props);
    this.listener = httpsListener(loadBalancer, props.certificate ?? made!.certificate, this.targetGroup);
    this.url = `https://${this.loadBalancer.loadBalancerDnsName}`;
    this.serverName = props.serverName ?? made?.serverName;
    this.certificate = made?.pem;
    this.endpointCertificate = made;
  }

  /** Instances that answer their health check. */
  public metricHealthyHosts(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.targetGroup.metrics.healthyHostCount({ statistic: cloudwatch.Stats.MINIMUM, ...props });
  }

  /** Instances that do not answer their health check. */
  public metricUnhealthyHosts(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.targetGroup.metrics.unhealthyHostCount({ statistic: cloudwatch.Stats.MAXIMUM, ...props });
  }

  /** Answers of instances with a 5xx status. */
  public metricServerErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.targetGroup.metrics.httpCodeTarget(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, props);
  }

  /** Seconds from a request reaching an instance to its first byte, 99th percentile. */
  public metricResponseTime(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.targetGroup.metrics.targetResponseTime({ statistic: cloudwatch.Stats.p(99), ...props });
  }

  /**
   * Requests that were answered 503 because no instance had room.
   *
   * @throws unless the endpoint has `Balancing.BOUNDED_CONCURRENCY`: no other counts them
   */
  public metricRejectedRequests(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    if (!this.boundsConcurrency) {
      throw new Error('metricRejectedRequests needs Balancing.BOUNDED_CONCURRENCY: nothing else rejects requests');
    }
    return this.targetGroup.metrics.custom('TargetControlRequestRejectCount', {
      statistic: cloudwatch.Stats.SUM,
      ...props,
    });
  }
}

function validateCertificate(props: ModelEndpointProps): void {
  if (props.certificate && props.endpointCertificate) {
    throw new Error('certificate and endpointCertificate exclude each other: give one of them');
  }
  if (Boolean(props.certificate) !== Boolean(props.serverName)) {
    const missing = props.certificate ? 'serverName' : 'certificate';
    throw new Error(`${missing} is required: certificate and serverName go together`);
  }
}
