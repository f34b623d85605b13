import { Duration, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import { Construct } from 'constructs';
import { resolvePolicy } from '../policy/defaults';
import { isFleet } from '../policy/fleet-backends';
import { ModelKind } from '../policy/model';
import type { InferencePolicy } from '../policy/policy';
import { backendEnvironment } from './backend-environment';
import { grantInvokeModel } from './bedrock-access';
import type { HandlerFunction } from './handler-function';
import type { IModelEndpoint, IResponseCache } from './interfaces';
import { PolicyLayer } from './policy-layer';

/** Time that a function keeps for settling after the longest answer. */
const SETTLE_SECONDS = 30;

const HTTPS_PORT = 443;

/** Properties of the access to models. */
export interface ModelAccessProps {
  /** What the functions obey. */
  readonly policy: InferencePolicy;

  /** Network of the functions: that of the store and of the endpoints. */
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
   * Namespace of the metrics.
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
}

/**
 * How functions compute answers as a policy says: the policy as a layer, where store and backends are, and the permission
 * to reach them. What serves interactive requests and what works off jobs have the same.
 */
export class ModelAccess extends Construct {
  /** What the functions obey. */
  public readonly policy: InferencePolicy;

  /** The policy as a layer, for functions that obey the same one. */
  public readonly policyLayer: PolicyLayer;

  /** Network of the functions. */
  public readonly vpc: ec2.IVpc;

  /** Bus that hears of breakers that change their state. */
  public readonly eventBus: events.IEventBus;

  /** Namespace of the metrics. */
  public readonly metricsNamespace: string;

  /** The longest that one request may take, with what is settled after it; at most Lambda's own limit of 15 minutes. */
  public readonly requestTime: Duration;

  private readonly store: IResponseCache;
  private readonly endpoints: Record<string, IModelEndpoint>;
  private readonly storeTimeout: number;

  constructor(scope: Construct, id: string, props: ModelAccessProps) {
    super(scope, id);
    this.policy = props.policy;
    this.store = props.store;
    this.endpoints = props.endpoints ?? {};
    this.storeTimeout = (props.storeTimeout ?? Duration.millis(50)).toMilliseconds();
    this.policyLayer = new PolicyLayer(this, 'Policy', { policy: props.policy });
    validateProps(props.policy, this.endpoints, this.storeTimeout);
    validateStore(props.policy, props.store);

    this.vpc = props.vpc;
    this.eventBus = props.eventBus ?? events.EventBus.fromEventBusName(this, 'EventBus', 'default');
    this.metricsNamespace = props.metricsNamespace ?? 'InferencePlatform';
    const totals = resolvePolicy(props.policy).backends.map((backend) => backend.timeouts.totalMs);
    this.requestTime = Duration.seconds(Math.min(900, Math.ceil(Math.max(...totals) / 1000) + SETTLE_SECONDS));
  }

  /**
   * What a function needs in its environment to find store and backends, and what else it is to have there.
   *
   * @param own what else
   * @throws where all of it would not fit into Lambda's quota
   */
  public environmentWith(own: Record<string, string>): Record<string, string> {
    return {
      STORE_URL: this.store.url,
      ...(this.store.userName && { STORE_USER: this.store.userName }),
      ...(this.store.cacheName && { STORE_CACHE_NAME: this.store.cacheName }),
      STORE_TIMEOUT_MS: String(this.storeTimeout),
      METRICS_NAMESPACE: this.metricsNamespace,
      EVENT_BUS: this.eventBus.eventBusArn,
      ...backendEnvironment(this, this.policy, this.endpoints, own),
      ...own,
    };
  }

  /**
   * Lets a function reach store, backends and bus, and nothing else.
   *
   * @param handler a function of the same network
   * @param kind kind of the models that it computes; of backends it reaches those of such models only (default: all)
   */
  public grantTo(handler: HandlerFunction, kind?: ModelKind): void {
    const { connections } = handler;
    const policy = kind === undefined ? this.policy : withModelsOf(kind, this.policy);
    const isCalled = (name: string) => policy.backends.some((backend) => backend.name === name);
    this.store.grantConnect(handler);
    connections.allowToDefaultPort(this.store, 'Store of limits, breakers and cached answers');
    for (const [name, endpoint] of Object.entries(this.endpoints)) {
      if (!isCalled(name)) continue;
      connections.allowToDefaultPort(endpoint, `Backend ${name}`);
    }
    for (const { bedrock } of policy.backends) if (bedrock) grantInvokeModel(handler.role, bedrock);
    this.eventBus.grantPutEventsTo(handler);
    allowToServicesAndUrls(connections, policy);
  }
}

/** A policy with the backends of models of a kind only. */
function withModelsOf(wanted: ModelKind, policy: InferencePolicy): InferencePolicy {
  const used = policy.models.filter(({ kind = ModelKind.CHAT }) => kind === wanted).flatMap(({ backends }) => backends);
  return { ...policy, backends: policy.backends.filter(({ name }) => used.includes(name)) };
}

/** AWS services, and backends with an address of their own, stand outside: their ports are open, on any host. */
function allowToServicesAndUrls(connections: ec2.Connections, policy: InferencePolicy): void {
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
  connections.allowToAnyIpv4(ec2.Port.tcp(HTTPS_PORT), services.join(', '));
  for (const port of ports) {
    connections.allowToAnyIpv4(ec2.Port.tcp(port), 'Backends by their url');
  }
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
