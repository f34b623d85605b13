import { Duration, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { HandlerFunction } from '../handlers/handler-function';
import type { IResponseCache } from '../handlers/interfaces';
import type { PolicyLayer } from '../handlers/policy-layer';

/** An operator waits for this, and no request: the store gets its time. */
const STORE_TIMEOUT_MS = 2000;

/** Properties of the control of breakers. */
export interface BreakerControlProps {
  /** The policy that the gateway obeys: `InferenceFunction.policyLayer`. Its backends are those that are known here. */
  readonly policyLayer: PolicyLayer;

  /** Network of the function: that of the store. */
  readonly vpc: ec2.IVpc;

  /** The store that holds the breakers. */
  readonly store: IResponseCache;

  /**
   * Name of the gateway that the breakers belong to, in events and metrics: `InferenceFunction.serviceName`.
   *
   * @default - a name of its own
   */
  readonly serviceName?: string;

  /**
   * Namespace of the metrics.
   *
   * @default 'InferencePlatform'
   */
  readonly metricsNamespace?: string;

  /**
   * Bus that hears of overrides.
   *
   * @default - the account's default bus
   */
  readonly eventBus?: events.IEventBus;

  /**
   * Encrypts the log and the environment. Its policy must let CloudWatch Logs use it, as `PlatformKey` does.
   *
   * @default - encrypted by the services' own keys
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long the log is kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to the log when it leaves the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A function by which operators read the breakers of a gateway, and override them: hold a backend's calls back, or let
 * them all through. It has no address; whoever may invoke it may do so.
 */
export class BreakerControl extends Construct implements iam.IGrantable, ec2.IConnectable {
  /** The function and its parts. */
  public readonly handler: HandlerFunction;

  /** Bus that hears of overrides. */
  public readonly eventBus: events.IEventBus;

  public readonly grantPrincipal: iam.IPrincipal;
  public readonly connections: ec2.Connections;

  constructor(scope: Construct, id: string, props: BreakerControlProps) {
    super(scope, id);
    this.eventBus = props.eventBus ?? events.EventBus.fromEventBusName(this, 'EventBus', 'default');
    this.handler = new HandlerFunction(this, 'Handler', {
      handler: 'breaker-control',
      description: 'Reads breakers for operators, and overrides them',
      vpc: props.vpc,
      environment: {
        STORE_URL: props.store.url,
        ...(props.store.userName && { STORE_USER: props.store.userName }),
        ...(props.store.cacheName && { STORE_CACHE_NAME: props.store.cacheName }),
        STORE_TIMEOUT_MS: String(STORE_TIMEOUT_MS),
        STORE_CONNECT_TIMEOUT_MS: String(STORE_TIMEOUT_MS),
        METRICS_NAMESPACE: props.metricsNamespace ?? 'InferencePlatform',
        SERVICE_NAME: props.serviceName ?? `${Stack.of(this).stackName}-${this.node.addr.slice(-8)}`,
        EVENT_BUS: this.eventBus.eventBusArn,
      },
      layers: [props.policyLayer.layer],
      timeout: Duration.seconds(10),
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    this.grantPrincipal = this.handler.grantPrincipal;
    this.connections = this.handler.connections;

    props.store.grantConnect(this);
    this.connections.allowToDefaultPort(props.store, 'Store of breakers');
    this.connections.allowToAnyIpv4(ec2.Port.tcp(443), 'EventBridge');
    this.eventBus.grantPutEventsTo(this);
  }

  /**
   * Lets an identity read breakers and override them.
   *
   * @param grantee the identity
   */
  public grantInvoke(grantee: iam.IGrantable): iam.Grant {
    return this.handler.function.grantInvoke(grantee);
  }

  /** Requests of operators, reports and overrides. */
  public metricInvocations(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.handler.function.metricInvocations(props);
  }

  /** Requests that were refused or failed. */
  public metricErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.handler.function.metricErrors(props);
  }
}
