import { Fn, Names, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3vectors from 'aws-cdk-lib/aws-s3vectors';
import { Construct } from 'constructs';
import type { HandlerFunction } from '../handlers/handler-function';
import { acknowledge, wildcardFinding } from '../security/acknowledge';

/** Properties of a bucket of vectors. */
export interface VectorBucketProps {
  /**
   * Encrypts the vectors.
   *
   * @default - encrypted by S3's own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * What happens to the bucket when it leaves the stack. Vectors can be made anew from the published version, but S3
   * Vectors deletes no bucket that has an index: with `DESTROY`, the stack can be deleted once its indexes are.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE - a deployment that fails at the first attempt leaves none behind
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A bucket of S3 Vectors. Its indexes come and go with the versions of a pipeline, one beside the other while one takes
 * over, so they are made by the pipeline and not by the template.
 */
export class VectorBucket extends Construct {
  /** The bucket. */
  public readonly bucket: s3vectors.CfnVectorBucket;

  /** Its name, which is derived from the stack's name and id. */
  public readonly bucketName: string;

  /** ARN of all of its indexes. */
  public readonly indexArn: string;

  constructor(scope: Construct, id: string, props: VectorBucketProps = {}) {
    super(scope, id);
    const stack = Stack.of(this);
    // The stack's own id makes the name unique, also after a stack was deleted and its bucket was retained.
    const name = Names.uniqueResourceName(this, { maxLength: 26, separator: '-' }).toLowerCase();
    this.bucketName = `${name}-${Fn.select(2, Fn.split('/', stack.stackId))}`;
    // S3 Vectors itself reads the key, to build its indexes. The key may stand in a stack that this one depends on, and
    // cannot know this one's id.
    const buckets = stack.formatArn({ service: 's3vectors', resource: 'bucket', resourceName: `${name}-*` });
    props.encryptionKey?.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: `VectorsOf${this.node.addr.slice(-8)}`,
        principals: [new iam.ServicePrincipal('indexing.s3vectors.amazonaws.com')],
        actions: ['kms:Decrypt'],
        resources: ['*'],
        conditions: {
          ArnLike: { 'aws:SourceArn': buckets },
          StringEquals: { 'aws:SourceAccount': stack.account },
        },
      }),
    );
    this.bucket = new s3vectors.CfnVectorBucket(this, 'Bucket', {
      vectorBucketName: this.bucketName,
      encryptionConfiguration: props.encryptionKey
        ? { sseType: 'aws:kms', kmsKeyArn: props.encryptionKey.keyArn }
        : { sseType: 'AES256' },
    });
    this.indexArn = `${this.bucket.attrVectorBucketArn}/index/*`;
    this.bucket.applyRemovalPolicy(props.removalPolicy ?? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
  }

  /**
   * Lets a function do something with the indexes.
   *
   * @param handler the function
   * @param actions such as `QueryVectors`
   */
  public grantIndexes(handler: HandlerFunction, ...actions: string[]): void {
    handler.role.addToPolicy(
      new iam.PolicyStatement({
        actions: actions.map((action) => `s3vectors:${action}`),
        resources: [this.indexArn],
      }),
    );
    acknowledge(handler.role, {
      [wildcardFinding(this, this.indexArn)]: 'Each version has an index of its own, made when it is published.',
    });
  }
}
