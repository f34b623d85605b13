import { AwsError } from './aws-error';
import { jitteredMs } from './retries';
import { type AwsService, callJson } from './service';

/** A message to be sent. */
export interface OutgoingMessage {
  readonly body: string;
  /** MessageGroupId: whose message it is, for fair queues. */
  readonly group?: string;
  /** From 0 to 900. @default - the queue's own delay */
  readonly delaySeconds?: number;
  /** Message attributes, all of them strings. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** A message that was received and is invisible to others for a while. */
export interface ReceivedMessage {
  readonly id: string;
  /** By which it is removed or its visibility changed; each receipt of a message has its own. */
  readonly receipt: string;
  readonly body: string;
  readonly group?: string;
  /** Times that it was received, this one too. */
  readonly receiveCount: number;
  /** Milliseconds since 1970. */
  readonly sentAt: number;
  readonly attributes: Readonly<Record<string, string>>;
}

/** How messages are received. */
export interface ReceiveOptions {
  /** From 1 to 10. @default 10 */
  readonly most?: number;
  /** How long to wait for a first message, from 0 to 20. @default 0 */
  readonly waitSeconds?: number;
  /** @default - the queue's own visibility timeout */
  readonly visibilitySeconds?: number;
}

/** Entries of a batch that were not taken. */
interface BatchAnswer {
  readonly Failed?: readonly {
    readonly Id: string;
    readonly SenderFault: boolean;
    readonly Code: string;
    readonly Message?: string;
  }[];
}

interface ReceiveAnswer {
  readonly Messages?: readonly {
    readonly MessageId: string;
    readonly ReceiptHandle: string;
    readonly Body: string;
    readonly Attributes?: Readonly<Record<string, string>>;
    readonly MessageAttributes?: Readonly<Record<string, { readonly StringValue?: string }>>;
  }[];
}

/** SQS's limits for one call: entries, and bytes of them all (262,144 in every region; some take more). */
const MOST_ENTRIES = 10;
const MOST_BYTES = 262_144;

/** Calls at one time. SQS bears thousands; a connection each is what this process pays. */
const PARALLEL_CALLS = 8;

/** A queue of SQS. */
export class Queue {
  public constructor(
    private readonly service: AwsService,
    public readonly url: string,
  ) {}

  /**
   * Sends messages, any number of them, ten in a call; what single messages of a call were refused for a fault that is
   * not theirs is sent again. A message may come to be in the queue twice.
   *
   * @throws AwsError where a message was not taken; others may have been
   */
  public async send(messages: readonly OutgoingMessage[]): Promise<void> {
    const entries = messages.map(({ body, group, delaySeconds, attributes }) => ({
      MessageBody: body,
      ...(group !== undefined && { MessageGroupId: group }),
      ...(delaySeconds !== undefined && { DelaySeconds: delaySeconds }),
      ...(attributes && {
        MessageAttributes: Object.fromEntries(
          Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
        ),
      }),
    }));
    await this.inBatches('SendMessageBatch', entries);
  }

  /** Receives up to ten messages. */
  public async receive({ most = 10, waitSeconds = 0, visibilitySeconds }: ReceiveOptions = {}): Promise<
    readonly ReceivedMessage[]
  > {
    const input = {
      QueueUrl: this.url,
      MaxNumberOfMessages: most,
      WaitTimeSeconds: waitSeconds,
      ...(visibilitySeconds !== undefined && { VisibilityTimeout: visibilitySeconds }),
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    };
    // What was received by a call whose answer was lost comes back when its visibility timeout ends.
    const answer = (await callJson(this.service, 'AmazonSQS.ReceiveMessage', input, {
      extraMs: waitSeconds * 1000,
    })) as ReceiveAnswer;
    return (answer.Messages ?? []).map(
      ({ MessageId, ReceiptHandle, Body, Attributes = {}, MessageAttributes = {} }) => ({
        ...{ id: MessageId, receipt: ReceiptHandle, body: Body },
        ...(Attributes.MessageGroupId !== undefined && { group: Attributes.MessageGroupId }),
        receiveCount: Number(Attributes.ApproximateReceiveCount),
        sentAt: Number(Attributes.SentTimestamp),
        attributes: Object.fromEntries(
          Object.entries(MessageAttributes).map(([name, { StringValue = '' }]) => [name, StringValue]),
        ),
      }),
    );
  }

  /**
   * Removes messages by their receipts.
   *
   * @throws AwsError where one was not removed; others may have been
   */
  public async remove(receipts: readonly string[]): Promise<void> {
    await this.inBatches(
      'DeleteMessageBatch',
      receipts.map((receipt) => ({ ReceiptHandle: receipt })),
    );
  }

  /**
   * Says for how long messages stay invisible from now on; 0 gives them back at once.
   *
   * @throws AwsError where one was not changed; others may have been
   */
  public async changeVisibility(
    changes: readonly { readonly receipt: string; readonly seconds: number }[],
  ): Promise<void> {
    await this.inBatches(
      'ChangeMessageVisibilityBatch',
      changes.map(({ receipt, seconds }) => ({ ReceiptHandle: receipt, VisibilityTimeout: seconds })),
    );
  }

  /** Reads attributes of the queue, such as `ApproximateNumberOfMessages`. */
  public async attributes(names: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const input = { QueueUrl: this.url, AttributeNames: names };
    const answer = await callJson(this.service, 'AmazonSQS.GetQueueAttributes', input);
    return (answer as { readonly Attributes?: Readonly<Record<string, string>> }).Attributes ?? {};
  }

  private async inBatches(operation: string, entries: readonly object[]): Promise<void> {
    const batches = batchesOf(entries);
    const worker = async () => {
      for (let batch = batches.shift(); batch; batch = batches.shift()) await this.untilTaken(operation, batch);
    };
    const outcomes = await Promise.allSettled(Array.from({ length: Math.min(PARALLEL_CALLS, batches.length) }, worker));
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure) throw failure.reason;
  }

  /** Sends a batch, and again those of it that were not taken. */
  private async untilTaken(operation: string, batch: readonly object[]): Promise<void> {
    let left = batch;
    for (let tries = 1; ; tries += 1) {
      const Entries = left.map((entry, i) => ({ Id: String(i), ...entry }));
      const input = { QueueUrl: this.url, Entries };
      const { Failed: failed = [] } = (await callJson(this.service, `AmazonSQS.${operation}`, input)) as BatchAnswer;
      if (failed.length === 0) return;
      const fault = failed.find(({ SenderFault }) => SenderFault) ?? failed[0];
      if (fault && (fault.SenderFault || tries >= this.service.attempts)) {
        const words = `${operation} refused ${failed.length} of ${left.length} entries: ${fault.Code} ${fault.Message ?? ''}`;
        throw new AwsError(words.trimEnd(), fault.Code, fault.SenderFault ? 400 : 500);
      }
      left = failed.flatMap(({ Id }) => left[Number(Id)] ?? []);
      await this.service.pause(jitteredMs(tries, this.service.random));
    }
  }
}

/** Cuts entries into batches of ten, fewer where they would be too large for one call. */
function batchesOf(entries: readonly object[]): object[][] {
  const batches: object[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const size = Buffer.byteLength(JSON.stringify(entry));
    const current = batches.at(-1);
    if (!current || current.length === MOST_ENTRIES || bytes + size > MOST_BYTES) {
      batches.push([entry]);
      bytes = size;
    } else {
      current.push(entry);
      bytes += size;
    }
  }
  return batches;
}
