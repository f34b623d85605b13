import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { LogBucket } from '../security/log-bucket';

/** Properties of a bucket of data. */
export interface DataBucketProps {
  /**
   * Encrypts the objects.
   *
   * @default - encrypted by S3's own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * Bucket for the access log.
   *
   * @default - a new `LogBucket`
   */
  readonly logBucket?: LogBucket;

  /**
   * How long what was overwritten or deleted can be brought back.
   *
   * @default Duration.days(30)
   */
  readonly noncurrentRetention?: Duration;

  /**
   * For how long what lies below prefixes is kept, by prefix.
   *
   * @default - everything is kept
   */
  readonly retentionByPrefix?: Record<string, Duration>;

  /**
   * Whether EventBridge hears of new objects.
   *
   * @default false
   */
  readonly eventBridgeEnabled?: boolean;

  /**
   * What happens to the bucket when it leaves the stack. It is kept where it holds anything.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/** A bucket for data: private, TLS only, versioned, encrypted, with an access log. */
export class DataBucket extends s3.Bucket {
  constructor(scope: Construct, id: string, props: DataBucketProps = {}) {
    const noncurrent = props.noncurrentRetention ?? Duration.days(30);
    super(scope, id, {
      ...(props.encryptionKey
        ? { encryption: s3.BucketEncryption.KMS, encryptionKey: props.encryptionKey, bucketKeyEnabled: true }
        : { encryption: s3.BucketEncryption.S3_MANAGED }),
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      lifecycleRules: [
        {
          id: 'Noncurrent',
          noncurrentVersionExpiration: noncurrent,
          abortIncompleteMultipartUploadAfter: Duration.days(1),
          expiredObjectDeleteMarker: true,
        },
        ...Object.entries(props.retentionByPrefix ?? {}).map(([prefix, expiration], i) => ({
          id: `Retention${i}`,
          prefix,
          expiration,
        })),
      ],
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
    if (props.eventBridgeEnabled) {
      // The L2 would do this by a function of its own, with more permissions than all of ours.
      (this.node.defaultChild as s3.CfnBucket).notificationConfiguration = {
        eventBridgeConfiguration: { eventBridgeEnabled: true },
      };
    }
    // The log's own bucket stands inside this one, so that two of these can stand in one scope.
    const logs = props.logBucket ?? new LogBucket(this, 'Logs', { removalPolicy: props.removalPolicy });
    logs.logAccessTo(this, `data-${this.node.addr.slice(-8)}/`);
  }
}
