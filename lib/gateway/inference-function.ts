import { Duration, type RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { HandlerFunction } from '../handlers/handler-function';
import type { IModelEndpoint, IResponseCache } from '../handlers/interfaces';
import { PolicyLayer } from '../handlers/policy-layer';
import type { BedrockModel } from '../policy/backend';
import { resolvePolicy } from '../policy/defaults';
import { isFleet } from '../policy/fleet-backends';
import type { InferencePolicy } from '../policy/policy';
import { grantInvokeModel } from './bedrock-access';

/** Lambda's quota for the environment of a function. */
const ENVIRONMENT_QUOTA_BYTES = 4096;

/** Typical lengths of what tokens stand for, and of the rest of the environment. */
const ADDRESS_BYTES = 80;
const CERTIFICATE_BYTES = 800;
const OTHER_BYTES = 600;

/** Time that a function keeps for settling after the longest answer. */
const SETTLE_SECONDS = 30;

const HTTPS_PORT = 443;

/** Where a backend is. */
interface Address {
  readonly url: string;
  readonly serverName?: string;
}

/** Properties of the function that serves inference requests. */
export interface InferenceFunctionProps {
  /** What the function obeys. */
  readonly policy: InferencePolicy;

  /** Network of the function: that of the store and of the endpoints. */
  readonly vpc: ec2.IVpc;

  /** The store of limits, breakers and cached answers. */
  readonly store: IResponseCache;

  /**
   * Endpoints of the backends that have neither `url` nor `bedrock` in the policy, by the backend's name.
   *
   * @default - every backend has a url or is of Bedrock
   */
  readonly endpoints?: Record<string, IModelEndpoint>;

  /**
   * Longest wait for the store; after it the policy's `onStoreLoss` decides. 5 ms to 5 s.
   *
   * @default Duration.millis(50)
   */
  readonly storeTimeout?: Duration;

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
   * Namespace of the gateway's metrics.
   *
   * @default 'InferencePlatform'
   */
  readonly metricsNamespace?: string;

  /**
   * Bus that hears of breakers that change their state.
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

/** The function that serves inference requests: admits, caches, routes, streams and settles by the policy. */
export class InferenceFunction extends Construct implements iam.IGrantable, ec2.IConnectable {
  /** The function and its parts. */
  public readonly handler: HandlerFunction;

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

  constructor(scope: Construct, id: string, props: InferenceFunctionProps) {
    super(scope, id);
    const endpoints = props.endpoints ?? {};
    const storeTimeout = (props.storeTimeout ?? Duration.millis(50)).toMilliseconds();
    this.policyLayer = new PolicyLayer(this, 'Policy', { policy: props.policy });
    validateProps(props.policy, endpoints, storeTimeout);
    validateStore(props.policy, props.store);

    this.eventBus = props.eventBus ?? events.EventBus.fromEventBusName(this, 'EventBus', 'default');
    this.metricsNamespace = props.metricsNamespace ?? 'InferencePlatform';
    this.backendNames = props.policy.backends.map(({ name }) => name);
    this.serviceName = `${Stack.of(this).stackName}-${this.node.addr.slice(-8)}`;
    const addresses = deployTimeAddresses(props.policy, endpoints);
    const certificates = [...new Set(Object.values(endpoints).flatMap(({ certificate }) => certificate ?? []))];
    const bedrockModels = deployTimeModels(props.policy);
    validateEnvironment({ ...addresses, ...bedrockModels }, certificates);

    const totals = resolvePolicy(props.policy).backends.map((backend) => backend.timeouts.totalMs);
    const environment = {
      STORE_URL: props.store.url,
      ...(props.store.userName && { STORE_USER: props.store.userName }),
      ...(props.store.cacheName && { STORE_CACHE_NAME: props.store.cacheName }),
      STORE_TIMEOUT_MS: String(storeTimeout),
      METRICS_NAMESPACE: this.metricsNamespace,
      SERVICE_NAME: this.serviceName,
      EVENT_BUS: this.eventBus.eventBusArn,
      ...(Object.keys(addresses).length > 0 && { BACKENDS: Stack.of(this).toJsonString(addresses) }),
      ...(Object.keys(bedrockModels).length > 0 && { BEDROCK_MODELS: Stack.of(this).toJsonString(bedrockModels) }),
      ...(certificates.length > 0 && { TRUSTED_CERTIFICATES: certificates.join('\n') }),
    };

    this.handler = new HandlerFunction(this, 'Handler', {
      handler: 'inference',
      description: 'Serves inference requests',
      vpc: props.vpc,
      environment,
      layers: [this.policyLayer.layer],
      memorySize: props.memorySize ?? 512,
      timeout: Duration.seconds(Math.min(900, Math.ceil(Math.max(...totals) / 1000) + SETTLE_SECONDS)),
      reservedConcurrency: props.reservedConcurrency,
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    this.grantPrincipal = this.handler.grantPrincipal;
    this.connections = this.handler.connections;

    props.store.grantConnect(this);
    this.connections.allowToDefaultPort(props.store, 'Store of limits, breakers and cached answers');
    for (const [name, endpoint] of Object.entries(endpoints)) {
      this.connections.allowToDefaultPort(endpoint, `Backend ${name}`);
    }
    for (const { bedrock } of props.policy.backends) if (bedrock) grantInvokeModel(this.handler.role, bedrock);
    this.eventBus.grantPutEventsTo(this);
    this.allowToServicesAndUrls(props.policy);
  }

  /** Requests that were answered. */
  public metricRequests(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Requests', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Requests that were answered with a 5xx status. */
  public metricErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Errors', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Milliseconds from a request to the first byte of its answer, 99th percentile. */
  public metricTimeToFirstToken(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('TimeToFirstToken', { statistic: cloudwatch.Stats.p(99), ...props });
  }

  /** Milliseconds from a request to the last byte of its answer, 99th percentile. */
  public metricLatency(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Latency', { statistic: cloudwatch.Stats.p(99), ...props });
  }

  /** Input tokens. */
  public metricInputTokens(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('InputTokens', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** What tokens cost, in the currency of the policy's prices; of models with a `price`. */
  public metricCost(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Cost', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Output tokens. */
  public metricOutputTokens(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('OutputTokens', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Requests that were answered with what was said to a question that means the same. */
  public metricSemanticHits(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('SemanticHits', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Look-ups by meaning that were late, or that the embedding model or the store failed. */
  public metricSemanticFailures(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('SemanticFailures', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Milliseconds that a look-up by meaning took, 99th percentile. */
  public metricSemanticLatency(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('SemanticLatency', { statistic: cloudwatch.Stats.p(99), ...props });
  }

  /** Requests that were answered from the cache, as equal requests before them. */
  public metricCacheHits(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('CacheHits', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Requests that were answered by a fallback: another backend, a stale entry or the degraded answer. */
  public metricFallbacks(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Fallbacks', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Requests for which a second backend was asked beside the first, by the model's `hedging`. */
  public metricHedges(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Hedges', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Requests that were refused by a limit. */
  public metricRateLimited(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('RateLimited', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Requests that were served without the store. */
  public metricStoreLost(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('StoreLost', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /**
   * Breakers that opened. Of one backend by
   * `dimensionsMap: { Service: inference.serviceName, Backend: 'NAME' }`; the same of the two below.
   */
  public metricBreakerOpened(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('BreakerOpened', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Open breakers that let their first probe through. */
  public metricBreakerHalfOpen(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('BreakerHalfOpen', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** Breakers that closed again. */
  public metricBreakerClosed(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('BreakerClosed', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  private metric(metricName: string, props: cloudwatch.MetricOptions): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: this.metricsNamespace,
      metricName,
      dimensionsMap: { Service: this.serviceName },
      ...props,
    }).attachTo(this);
  }

  /**
   * AWS services, and backends with an address of their own, stand outside: the function may reach their ports, on any
   * host.
   */
  private allowToServicesAndUrls(policy: InferencePolicy): void {
    const ports = new Set(
      policy.backends.flatMap(({ url }) =>
        url === undefined ? [] : [Token.isUnresolved(url) ? HTTPS_PORT : portOf(url)],
      ),
    );
    const services = [
      'EventBridge',
      ...(policy.backends.some(({ bedrock }) => bedrock) ? ['Amazon Bedrock'] : []),
      ...(ports.delete(HTTPS_PORT) ? ['backends by their url'] : []),
    ];
    this.connections.allowToAnyIpv4(ec2.Port.tcp(HTTPS_PORT), services.join(', '));
    for (const port of ports) {
      this.connections.allowToAnyIpv4(ec2.Port.tcp(port), 'Backends by their url');
    }
  }
}

/** The addresses that are known at deployment only: those of endpoints, and urls that are tokens. */
function deployTimeAddresses(
  policy: InferencePolicy,
  endpoints: Record<string, IModelEndpoint>,
): Record<string, Address> {
  const addresses: Record<string, Address> = {};
  for (const { name, url } of policy.backends) {
    const endpoint = endpoints[name];
    if (endpoint) addresses[name] = { url: endpoint.url, serverName: endpoint.serverName };
    else if (url !== undefined && Token.isUnresolved(url)) addresses[name] = { url };
  }
  return addresses;
}

/** What is known of models of Bedrock at deployment only: ids and regions that are tokens. */
function deployTimeModels(policy: InferencePolicy): Record<string, Partial<BedrockModel>> {
  const models: Record<string, Partial<BedrockModel>> = {};
  for (const { name, bedrock } of policy.backends) {
    if (!bedrock) continue;
    const { modelId, region } = bedrock;
    const tokens = {
      ...(Token.isUnresolved(modelId) && { modelId }),
      ...(region !== undefined && Token.isUnresolved(region) && { region }),
    };
    if (Object.keys(tokens).length > 0) models[name] = tokens;
  }
  return models;
}

function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'http:' ? 80 : HTTPS_PORT) : Number(port);
}

function validateProps(policy: InferencePolicy, endpoints: Record<string, IModelEndpoint>, storeTimeout: number): void {
  const names = policy.backends.map((backend) => backend.name);
  for (const name of Object.keys(endpoints)) {
    if (!names.includes(name)) {
      throw new Error(`endpoints must name backends of the policy (${names.join(', ')}), got "${name}"`);
    }
  }
  for (const backend of policy.backends) {
    const { name, bedrock } = backend;
    const hasEndpoint = endpoints[name] !== undefined;
    if (isFleet(backend) && !hasEndpoint) {
      throw new Error(`backends "${name}" has neither a url in the policy nor an entry in endpoints: give one of them`);
    }
    if (!isFleet(backend) && hasEndpoint) {
      const other = bedrock ? 'bedrock' : 'a url';
      throw new Error(`backends "${name}" has both ${other} in the policy and an entry in endpoints: give one of them`);
    }
  }
  if (storeTimeout < 5 || storeTimeout > 5000) {
    throw new Error(`storeTimeout must be from 5 ms to 5 s, got ${storeTimeout} ms`);
  }
}

/** Look-up by meaning needs the vector search that Valkey has since 8.2. */
function validateStore({ cache }: InferencePolicy, { engineVersion }: IResponseCache): void {
  if (!cache?.semantic || engineVersion === undefined || Token.isUnresolved(engineVersion)) return;
  const [major = 0, minor = 0] = engineVersion.split('.').map(Number);
  if (major > 8 || (major === 8 && minor >= 2)) return;
  throw new Error(
    `cache.semantic needs a store with vector search, engineVersion "8.2" or later, got "${engineVersion}": ` +
      'raise the engineVersion of the store, or leave semantic out of the policy',
  );
}

/** Tokens count with a typical length of what they stand for, so that the quota is hit here and not at deployment. */
function validateEnvironment(deployed: Record<string, object>, certificates: readonly string[]): void {
  const text = JSON.stringify(deployed).replaceAll(/\$\{Token\[[^\]]+\]\}/g, 'x'.repeat(ADDRESS_BYTES));
  const bytes = text.length + certificates.length * CERTIFICATE_BYTES + OTHER_BYTES;
  if (bytes > ENVIRONMENT_QUOTA_BYTES) {
    throw new Error(
      `backends whose address or model is known at deployment only must fit into ${ENVIRONMENT_QUOTA_BYTES} bytes of environment, ` +
        `got about ${bytes}: give some a url in the policy, or their modelId as text`,
    );
  }
}
