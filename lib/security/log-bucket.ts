import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';

/** Properties of a bucket for access logs. */
export interface LogBucketProps {
  /**
   * How long logs are kept.
   *
   * @default Duration.days(90)
   */
  readonly retention?: Duration;

  /**
   * What happens to the bucket when it leaves the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A bucket for the access logs of load balancers and of other buckets: private, TLS only, expiring.
 *
 * Encrypted by S3's own key, the only encryption that load balancers can deliver their logs to.
 */
export class LogBucket extends s3.Bucket {
  constructor(scope: Construct, id: string, props: LogBucketProps = {}) {
    super(scope, id, {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      lifecycleRules: [
        { expiration: props.retention ?? Duration.days(90), abortIncompleteMultipartUploadAfter: Duration.days(7) },
      ],
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
    acknowledge(this, {
      'AwsSolutions-S1': 'This bucket is where access logs end; logging its own access would feed itself.',
    });
  }

  /**
   * Has S3 log who accesses a bucket, of the same account and region.
   *
   * By a bucket policy whatever the app's feature flags say: the older way is an access control list, and this bucket has
   * none.
   *
   * @param bucket the bucket whose access is logged
   * @param prefix what the keys of its logs begin with, such as `batch-files/`
   */
  public logAccessTo(bucket: s3.Bucket, prefix: string): void {
    this.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal('logging.s3.amazonaws.com')],
        actions: ['s3:PutObject'],
        resources: [this.arnForObjects(`${prefix}*`)],
        conditions: {
          ArnLike: { 'aws:SourceArn': bucket.bucketArn },
          StringEquals: { 'aws:SourceAccount': Stack.of(bucket).account },
        },
      }),
    );
    const resource = bucket.node.defaultChild as s3.CfnBucket;
    resource.loggingConfiguration = { destinationBucketName: this.bucketName, logFilePrefix: prefix };
  }
}
