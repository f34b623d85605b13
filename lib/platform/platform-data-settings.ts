import type { FeatureSettings } from '../data-pipeline/feature-store';
import type { PipelineSettings } from '../data-pipeline/data-pipeline-props';

/** A data pipeline of a platform, and the service that answers from what it publishes. */
export interface PlatformPipelineSettings extends PipelineSettings {
  /**
   * Tenant of the policy in whose name texts are embedded: records at the priority of background work, below
   * `batch.ceiling`, and queries as any request. Its plan must have the model, and room for a batch.
   *
   * @default - the definition embeds nothing
   */
  readonly tenant?: string;

  /**
   * Backend of the policy, without `url`, that answers queries from the published index. The definition needs `retrieval`.
   *
   * @default - nothing is served
   */
  readonly backend?: string;
}

/** A feature store of a platform, and the service that answers from it. */
export interface PlatformFeatureSettings extends FeatureSettings {
  /**
   * Backend of the policy, without `url`, that serves the features.
   *
   * @default - nothing is served by the gateway
   */
  readonly backend?: string;

  /**
   * Whether the newest values are kept in the platform's Valkey, where memory is dear and evicted values are missing, in
   * place of a table of DynamoDB.
   *
   * @default false
   */
  readonly servesFromCache?: boolean;
}
