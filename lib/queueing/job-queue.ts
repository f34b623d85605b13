import { Aws, Duration, Fn, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

/** SQS keeps a message in flight for 12 hours at most. */
const LONGEST_VISIBILITY = Duration.hours(12);

/** Properties of a job queue. */
export interface JobQueueProps {
  /**
   * The longest that a worker may take for one batch of messages.
   *
   * @default Duration.minutes(15) - the longest that a Lambda function can run
   */
  readonly workerTimeout?: Duration;

  /**
   * Deliveries of a message before it counts as poison and goes to the dead letters, 1 to 1,000.
   *
   * @default 5
   */
  readonly maxReceiveCount?: number;

  /**
   * How long a job may wait, and a dead letter is kept, at most 14 days.
   *
   * @default Duration.days(14)
   */
  readonly retention?: Duration;

  /**
   * Encrypts the messages.
   *
   * @default - encrypted by SQS's own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * What happens to the queues when they leave the stack.
   *
   * @default RemovalPolicy.DESTROY
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A queue for background work, with dead letters: encrypted, TLS only. Messages with a tenant as `MessageGroupId` are
 * delivered fairly between tenants. The dead letters take messages of this queue and of no other.
 */
export class JobQueue extends Construct {
  /** Where jobs wait. */
  public readonly queue: sqs.Queue;

  /** Where poison messages go. */
  public readonly deadLetterQueue: sqs.Queue;

  constructor(scope: Construct, id: string, props: JobQueueProps = {}) {
    super(scope, id);
    const maxReceiveCount = props.maxReceiveCount ?? 5;
    if (!Number.isInteger(maxReceiveCount) || maxReceiveCount < 1 || maxReceiveCount > 1000) {
      throw new Error(`maxReceiveCount must be a whole number from 1 to 1000, got ${maxReceiveCount}`);
    }
    const shared = {
      ...(props.encryptionKey
        ? { encryption: sqs.QueueEncryption.KMS, encryptionMasterKey: props.encryptionKey }
        : { encryption: sqs.QueueEncryption.SQS_MANAGED }),
      enforceSSL: true,
      retentionPeriod: props.retention ?? Duration.days(14),
      removalPolicy: props.removalPolicy,
    };
    // Queue and dead letters name each other, so one name is set here. The stack's own id makes it unique.
    const queueName = `jobs-${Fn.select(2, Fn.split('/', Aws.STACK_ID))}-${this.node.addr.slice(-8)}`;
    const queueArn = Stack.of(this).formatArn({ service: 'sqs', resource: queueName });
    this.deadLetterQueue = new sqs.Queue(this, 'DeadLetters', shared);
    (this.deadLetterQueue.node.defaultChild as sqs.CfnQueue).redriveAllowPolicy = {
      redrivePermission: sqs.RedrivePermission.BY_QUEUE,
      sourceQueueArns: [queueArn],
    };
    this.queue = new sqs.Queue(this, 'Queue', {
      ...shared,
      queueName,
      visibilityTimeout: visibilityFor(props.workerTimeout ?? Duration.minutes(15)),
      receiveMessageWaitTime: Duration.seconds(20),
      deadLetterQueue: { queue: this.deadLetterQueue, maxReceiveCount },
    });
  }

  /** Age of the oldest waiting message, in seconds. */
  public metricOldestMessageAge(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.queue.metricApproximateAgeOfOldestMessage(props);
  }

  /** Number of waiting messages. */
  public metricBacklog(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.queue.metricApproximateNumberOfMessagesVisible(props);
  }

  /** Number of dead letters. */
  public metricDeadLetters(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.deadLetterQueue.metricApproximateNumberOfMessagesVisible(props);
  }
}

/** Six times the worker's limit, as AWS advises for functions, so that a retry of the function comes first. */
function visibilityFor(workerTimeout: Duration): Duration {
  const six = Duration.seconds(workerTimeout.toSeconds() * 6);
  return six.toSeconds() > LONGEST_VISIBILITY.toSeconds() ? LONGEST_VISIBILITY : six;
}
