import { Duration } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { LambdaTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2-targets';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { IModelEndpoint } from '../handlers/interfaces';
import type { EndpointCertificate } from './endpoint-certificate';
import { type EndpointProps, httpsListener, internalBalancer, sharedOrOwnCertificate } from './internal-balancer';

/** Properties of a function's endpoint. */
export interface FunctionEndpointProps extends EndpointProps {
  /** The function that answers. It gets the events of an Application Load Balancer. */
  readonly function: lambda.IFunction;

  /**
   * Longest silence on a connection: at least the function's own limit.
   *
   * @default Duration.minutes(1)
   */
  readonly idleTimeout?: Duration;
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

  /** The certificate made at deployment. */
  public readonly endpointCertificate: EndpointCertificate;

  constructor(scope: Construct, id: string, props: FunctionEndpointProps) {
    super(scope, id);
    const { loadBalancer, connections } = internalBalancer(this, props, {
      description: 'Load balancer of a function',
      idleTimeout: props.idleTimeout ?? Duration.minutes(1),
    });
    this.loadBalancer = loadBalancer;
    this.connections = connections;

    // No health check: it would be an invocation each time, and the gateway's breaker sees failures sooner.
    this.targetGroup = new elbv2.ApplicationTargetGroup(this, 'Target', {
      targetType: elbv2.TargetType.LAMBDA,
      targets: [new LambdaTarget(props.function)],
    });
    this.endpointCertificate = sharedOrOwnCertificate(this, props);
    const { certificate, serverName, pem } = this.endpointCertificate;
    this.listener = httpsListener(loadBalancer, certificate, this.targetGroup);
    this.url = `https://${this.loadBalancer.loadBalancerDnsName}`;
    this.serverName = serverName;
    this.certificate = pem;
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
