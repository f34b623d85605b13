import { Duration, type RemovalPolicy } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { HandlerFunction } from '../handlers/handler-function';
import type { DataPipeline } from './data-pipeline';
import { embeddingEnvironment, grantEmbedding } from './embedding-access';

/** Properties of retrieval. */
export interface RetrievalProps {
  /** The pipeline whose published versions are searched. Its definition needs `retrieval`. */
  readonly pipeline: DataPipeline;

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

/**
 * Finds the records of a pipeline's published version that are nearest to a query. Give its function an address by
 * `FunctionEndpoint` and a service in the policy, and it is served by the gateway, behind a breaker.
 */
export class Retrieval extends Construct {
  /** The function and its parts. */
  public readonly handler: HandlerFunction;

  /** The pipeline whose versions are searched. */
  public readonly pipeline: DataPipeline;

  constructor(scope: Construct, id: string, props: RetrievalProps) {
    super(scope, id);
    const { pipeline } = props;
    this.pipeline = pipeline;
    const { vectors, pointers } = pipeline;
    if (!vectors)
      throw new Error('pipeline must have retrieval in its definition: without it there is no index to ask');
    const { encryptionKey } = pipeline._embedding;
    this.handler = new HandlerFunction(this, 'Handler', {
      handler: 'retrieval',
      description: `Finds records of ${pipeline.pipelineName} that are near a query`,
      memorySize: 512,
      timeout: Duration.seconds(30),
      environment: {
        POINTER_TABLE: pointers.tableName,
        VECTOR_BUCKET: vectors.bucketName,
        ...embeddingEnvironment(pipeline._embedding, 'interactive'),
      },
      layers: [pipeline.definitionLayer.layer],
      encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    grantEmbedding(this.handler, pipeline._embedding);
    vectors.grantIndexes(this.handler, 'GetIndex', 'QueryVectors', 'GetVectors');
    // Which index answers.
    pointers.grant(this.handler, 'dynamodb:Query');
  }

  /**
   * Lets an identity ask by invoking the function.
   *
   * @param grantee the identity
   */
  public grantInvoke(grantee: iam.IGrantable): iam.Grant {
    return this.handler.function.grantInvoke(grantee);
  }

  /** Queries. */
  public metricInvocations(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.handler.function.metricInvocations(props);
  }

  /** Milliseconds that a query took, 99th percentile where `statistic` says so. */
  public metricDuration(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.handler.function.metricDuration(props);
  }

  /** Queries that failed. */
  public metricErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.handler.function.metricErrors(props);
  }
}
