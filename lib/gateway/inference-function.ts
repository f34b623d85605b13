import { type RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as events from 'aws-cdk-lib/aws-events';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { HandlerFunction } from '../handlers/handler-function';
import { MetricFamily } from '../handlers/metric-family';
import { ModelAccess, type ModelAccessProps } from '../handlers/model-access';
import type { PolicyLayer } from '../handlers/policy-layer';

/** Properties of the function that serves inference requests. */
export interface InferenceFunctionProps extends ModelAccessProps {
  /**
   * Memory in MB.
   *
   * @default 512
   */
  readonly memorySize?: number;

  /**
   * The most requests in progress at one time, taken from the account's pool.
   *
   * @default - no reservation
   */
  readonly reservedConcurrency?: number;

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

/** The function that serves inference requests: admits, caches, routes, streams and settles by the policy. */
export class InferenceFunction extends Construct implements iam.IGrantable, ec2.IConnectable {
  /** The function and its parts. */
  public readonly handler: HandlerFunction;

  /** How the function computes answers, for other functions that are to do it in the same way. */
  public readonly models: ModelAccess;

  /** The policy as a layer, for functions that obey the same one. */
  public readonly policyLayer: PolicyLayer;

  /** Bus that hears of breakers that change their state. */
  public readonly eventBus: events.IEventBus;

  /** Namespace of the metrics. */
  public readonly metricsNamespace: string;

  /** Value of the metrics' dimension `Service`, and of `service` in events. */
  public readonly serviceName: string;

  /** Names of the policy's backends: values of the dimension `Backend`. */
  public readonly backendNames: string[];

  public readonly grantPrincipal: iam.IPrincipal;
  public readonly connections: ec2.Connections;

  private readonly metrics: MetricFamily;

  constructor(scope: Construct, id: string, props: InferenceFunctionProps) {
    super(scope, id);
    this.models = new ModelAccess(this, 'Models', props);
    this.policyLayer = this.models.policyLayer;
    this.eventBus = this.models.eventBus;
    this.metricsNamespace = this.models.metricsNamespace;
    this.backendNames = props.policy.backends.map(({ name }) => name);
    this.serviceName = `${Stack.of(this).stackName}-${this.node.addr.slice(-8)}`;
    this.metrics = new MetricFamily(this, {
      namespace: this.metricsNamespace,
      dimensions: { Service: this.serviceName },
    });

    this.handler = new HandlerFunction(this, 'Handler', {
      handler: 'inference',
      description: 'Serves inference requests',
      vpc: props.vpc,
      environment: this.models.environmentWith({ SERVICE_NAME: this.serviceName }),
      layers: [this.policyLayer.layer],
      memorySize: props.memorySize ?? 512,
      timeout: this.models.requestTime,
      reservedConcurrency: props.reservedConcurrency,
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    this.grantPrincipal = this.handler.grantPrincipal;
    this.connections = this.handler.connections;
    this.models.grantTo(this.handler);
  }

  /** Requests that were answered. */
  public metricRequests(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('Requests', props);
  }

  /** Requests that were answered with a 5xx status. */
  public metricErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('Errors', props);
  }

  /** Milliseconds from a request to the first byte of its answer, 99th percentile. */
  public metricTimeToFirstToken(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.p99('TimeToFirstToken', props);
  }

  /** Milliseconds from a request to the last byte of its answer, 99th percentile. */
  public metricLatency(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.p99('Latency', props);
  }

  /** Input tokens. */
  public metricInputTokens(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('InputTokens', props);
  }

  /** What tokens cost, in the currency of the policy's prices; of models with a `price`. */
  public metricCost(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('Cost', props);
  }

  /** Output tokens. */
  public metricOutputTokens(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('OutputTokens', props);
  }

  /** Requests that were answered with what was said to a question that means the same. */
  public metricSemanticHits(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('SemanticHits', props);
  }

  /** Look-ups by meaning that were late, or that the embedding model or the store failed. */
  public metricSemanticFailures(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('SemanticFailures', props);
  }

  /** Milliseconds that a look-up by meaning took, 99th percentile. */
  public metricSemanticLatency(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.p99('SemanticLatency', props);
  }

  /** Requests that were answered from the cache, as equal requests before them. */
  public metricCacheHits(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('CacheHits', props);
  }

  /** Requests that were answered by a fallback: another backend, a stale entry or the degraded answer. */
  public metricFallbacks(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('Fallbacks', props);
  }

  /** Requests for which a second backend was asked beside the first, by the model's `hedging`. */
  public metricHedges(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('Hedges', props);
  }

  /** Requests that were refused by a limit. */
  public metricRateLimited(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('RateLimited', props);
  }

  /** Requests that were served without the store. */
  public metricStoreLost(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('StoreLost', props);
  }

  /**
   * Breakers that opened. Of one backend by
   * `dimensionsMap: { Service: inference.serviceName, Backend: 'NAME' }`; the same of the two below.
   */
  public metricBreakerOpened(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('BreakerOpened', props);
  }

  /** Open breakers that let their first probe through. */
  public metricBreakerHalfOpen(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('BreakerHalfOpen', props);
  }

  /** Breakers that closed again. */
  public metricBreakerClosed(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metrics.sum('BreakerClosed', props);
  }
}
