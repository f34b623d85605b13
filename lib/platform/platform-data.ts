import type { RemovalPolicy } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { ResponseCache } from '../caching/response-cache';
import { DataPipeline } from '../data-pipeline/data-pipeline';
import { FeatureStore } from '../data-pipeline/feature-store';
import { Retrieval } from '../data-pipeline/retrieval';
import { EmbeddingFunction } from '../gateway/embedding-function';
import type { EndpointCertificate } from '../load-balancing/endpoint-certificate';
import { FunctionEndpoint } from '../load-balancing/function-endpoint';
import type { LogBucket } from '../security/log-bucket';
import type { PlatformFeatureSettings, PlatformPipelineSettings } from './platform-data-settings';

/** What the platform gives to its data. */
export interface PlatformDataProps {
  readonly dataPipelines: Record<string, PlatformPipelineSettings>;
  readonly featureStores: Record<string, PlatformFeatureSettings>;
  readonly vpc: ec2.IVpc;
  readonly cache: ResponseCache;
  readonly logBucket: LogBucket;
  /** Shared by all endpoints. */
  readonly endpointCertificate: () => EndpointCertificate;
  readonly deletionProtection: boolean;
  readonly encryptionKey: kms.IKey;
  readonly logRetention?: logs.RetentionDays;
  readonly removalPolicy: RemovalPolicy;
}

/** The pipelines and feature stores of a platform, and an endpoint for each of its backends that they answer. */
export class PlatformData {
  public readonly pipelines: Record<string, DataPipeline> = {};
  public readonly retrievals: Record<string, Retrieval> = {};
  public readonly featureStores: Record<string, FeatureStore> = {};
  /** By the backend's name. */
  public readonly endpoints: Record<string, FunctionEndpoint> = {};
  /** Embeds for the pipelines, where one of them does. */
  public readonly embedder?: EmbeddingFunction;

  public constructor(
    private readonly scope: Construct,
    private readonly props: PlatformDataProps,
  ) {
    const pipelines = Object.entries(props.dataPipelines);
    if (pipelines.some(([, { tenant }]) => tenant !== undefined)) {
      this.embedder = new EmbeddingFunction(scope, 'Embeddings', { vpc: props.vpc, ...this.stored });
    }
    for (const [name, settings] of pipelines) this.addPipeline(name, settings);
    for (const [name, settings] of Object.entries(props.featureStores)) this.addFeatures(name, settings);
  }

  private get stored() {
    const { encryptionKey, logRetention, removalPolicy } = this.props;
    return { encryptionKey, logRetention, removalPolicy };
  }

  private addPipeline(name: string, { tenant, backend, ...settings }: PlatformPipelineSettings): void {
    const pipeline = new DataPipeline(this.scope, `Pipeline-${name}`, {
      ...settings,
      ...(tenant !== undefined && { embedder: this.embedder, embeddingTenant: tenant }),
      logBucket: this.props.logBucket,
      ...this.stored,
    });
    this.pipelines[name] = pipeline;
    if (backend === undefined) return;
    const { logRetention, removalPolicy } = this.props;
    const retrieval = new Retrieval(this.scope, `Retrieval-${name}`, { pipeline, logRetention, removalPolicy });
    this.retrievals[name] = retrieval;
    this.serve(backend, retrieval.handler.function);
  }

  private addFeatures(name: string, { backend, servesFromCache, ...settings }: PlatformFeatureSettings): void {
    const features = new FeatureStore(this.scope, `Features-${name}`, {
      ...settings,
      ...(servesFromCache && { onlineStore: this.props.cache, vpc: this.props.vpc }),
      logBucket: this.props.logBucket,
      ...this.stored,
    });
    this.featureStores[name] = features;
    if (backend !== undefined) this.serve(backend, features.serve.function);
  }

  private serve(backend: string, handler: lambda.IFunction): void {
    const { vpc, logBucket, endpointCertificate, deletionProtection } = this.props;
    this.endpoints[backend] = new FunctionEndpoint(this.scope, `Endpoint-${backend}`, {
      vpc,
      function: handler,
      endpointCertificate: endpointCertificate(),
      logBucket,
      deletionProtection,
      ...this.stored,
    });
  }
}
