import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { LogBucket } from '../security/log-bucket';

/**
 * Objects stay for so much longer than files are promised to: a batch may begin with a file on its last day, works for up
 * to a day, and is put together after that.
 */
const GRACE_DAYS = 2;

/** Properties of the bucket of batches. */
export interface BatchFilesProps {
  /** Days for which files and results are kept: `batch.retentionDays` of the policy. */
  readonly retentionDays: number;

  /** Where accesses are logged. */
  readonly logBucket: LogBucket;

  /**
   * Encrypts the objects.
   *
   * @default - encrypted by S3's own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * What happens to the bucket when it leaves the stack. One that holds objects cannot be deleted.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * What batches read and write: `files/` that tenants upload and download, `jobs/` with the requests of single jobs, and
 * `items/` with the result of each line until they are put together. Private, TLS only, versioned, expiring.
 */
export class BatchFiles extends s3.Bucket {
  constructor(scope: Construct, id: string, props: BatchFilesProps) {
    super(scope, id, {
      ...(props.encryptionKey
        ? { encryption: s3.BucketEncryption.KMS, encryptionKey: props.encryptionKey, bucketKeyEnabled: true }
        : { encryption: s3.BucketEncryption.S3_MANAGED }),
      versioned: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      lifecycleRules: [
        {
          expiration: Duration.days(props.retentionDays + GRACE_DAYS),
          noncurrentVersionExpiration: Duration.days(1),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
    props.logBucket.logAccessTo(this, `batch-files-${this.node.addr.slice(-8)}/`);
  }
}
