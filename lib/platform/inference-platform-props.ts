import type { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as events from 'aws-cdk-lib/aws-events';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { FleetScalingSettings } from '../auto-scaling/scaling-settings';
import type { InferencePolicy } from '../policy/policy';
import type { PlatformFeatureSettings, PlatformPipelineSettings } from './platform-data-settings';
import type { PlatformFleetSettings } from './platform-fleet-settings';

/** Properties of an inference platform. */
export interface InferencePlatformProps {
  /** Plans, tenants, backends, models and rules: what the platform is. */
  readonly policy: InferencePolicy;

  /**
   * The fleets of the backends that have neither `url` nor `bedrock` in the policy, by the backend's name.
   *
   * @default - every backend has a url, is of Bedrock, or is answered by a pipeline's index or a feature store
   */
  readonly fleets?: Record<string, PlatformFleetSettings>;

  /**
   * How the fleets follow their work, by the backend's name.
   *
   * @default - each by the defaults of `FleetScalingSettings`
   */
  readonly scaling?: Record<string, FleetScalingSettings>;

  /**
   * Data pipelines, by a name. One with a `backend` of the policy answers a service from the index that it publishes; it
   * embeds by the platform's own models, below live traffic.
   *
   * @default - none
   */
  readonly dataPipelines?: Record<string, PlatformPipelineSettings>;

  /**
   * Feature stores, by a name. One with a `backend` of the policy answers a service.
   *
   * @default - none
   */
  readonly featureStores?: Record<string, PlatformFeatureSettings>;

  /**
   * How often Auto Scaling looks at the fleets' load: 10, 30 or 60 seconds. Below 60 in the regions where target tracking
   * takes high-resolution metrics.
   *
   * @default Duration.seconds(10)
   */
  readonly scalingPeriod?: Duration;

  /**
   * Network to build in. It needs private subnets with egress in at least as many zones as `minZones` of the
   * fleets (3), and should have gateway endpoints for S3 and DynamoDB.
   *
   * @default - a new `PlatformNetwork` over three zones
   */
  readonly vpc?: ec2.IVpc;

  /**
   * Key that encrypts everything that is stored. The platform adds to its policy what AWS services need (see
   * `PlatformKey.allowServices`); the policy of an imported key must allow that already.
   *
   * @default - a new `PlatformKey`
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * Topic that hears of alarms. If it is encrypted, its key must let CloudWatch use it.
   *
   * @default - a new topic, encrypted by `encryptionKey`
   */
  readonly alarmTopic?: sns.ITopic;

  /**
   * Bus that hears of breakers that change their state.
   *
   * @default - the account's default bus
   */
  readonly eventBus?: events.IEventBus;

  /**
   * Node type of the store.
   *
   * @default 'cache.m7g.large'
   */
  readonly cacheNodeType?: string;

  /**
   * Nodes of the store, 2 to 6.
   *
   * @default 3
   */
  readonly cacheNodes?: number;

  /**
   * Whether to make the account-wide role by which API Gateway writes its logs.
   *
   * @default true
   */
  readonly cloudWatchRole?: boolean;

  /**
   * Whether load balancers refuse to be deleted.
   *
   * @default - true, unless `removalPolicy` is DESTROY
   */
  readonly deletionProtection?: boolean;

  /**
   * Change it to renew the authority of the endpoints' certificate with the next deployment: it is valid for ten years. The
   * certificate itself is replaced in time without it.
   *
   * @default '1'
   */
  readonly endpointCertificateSerial?: string;

  /**
   * How long logs are kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to key, files and books of batches, data, and logs when they leave the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}
