import { callJson, type AwsService } from '../../../lambda/aws/service';
import type { LambdaFunction } from '../lambda-runtime';
import { referenceIn, resourcesOf, type Template } from '../template';
import { functionBehind } from './function-reference';
import type { ResourceValues } from './template-values';

/** An `AWS::Lambda::EventSourceMapping` from a queue to a function. */
export interface EventSource {
  readonly functionId: string;
  readonly queueUrl: string;
  readonly queueArn: string;
  /** Most messages of an invocation. */
  readonly batchSize: number;
  /** How long to wait until so many are there. */
  readonly windowMs: number;
  readonly maxConcurrency: number;
  /** Whether the function's answer names the messages that failed. */
  readonly reportsFailures: boolean;
}

/** A message as ReceiveMessage gives it. */
interface RawMessage {
  readonly MessageId: string;
  readonly ReceiptHandle: string;
  readonly Body: string;
  readonly MD5OfBody: string;
  readonly Attributes?: Readonly<Record<string, string>>;
  readonly MessageAttributes?: Readonly<
    Record<string, { readonly DataType: string; readonly StringValue?: string; readonly BinaryValue?: string }>
  >;
}

/** Lambda's own: messages of a batch, and invocations where the template sets no limit (it begins with so many). */
const BATCH_SIZE = 10;
const CONCURRENCY = 5;

const MOST_RECEIVED = 10;
const WAIT_SECONDS = 20;

/** After a call that failed: an emulator that ends must not be asked a thousand times a second. */
const FAILURE_PAUSE_MS = 1000;

/**
 * Reads the template's event source mappings.
 *
 * @throws where one reads from anything but a queue of the template
 */
export function eventSourcesOf(template: Template, resources: ReadonlyMap<string, ResourceValues>): EventSource[] {
  return resourcesOf(template, 'AWS::Lambda::EventSourceMapping')
    .filter(([, { Enabled: enabled }]) => enabled !== false)
    .map(([id, properties]) => {
      const queueId = referenceIn(properties.EventSourceArn) ?? '';
      const queue = template.Resources[queueId]?.Type === 'AWS::SQS::Queue' ? resources.get(queueId) : undefined;
      if (!queue) throw new Error(`${id}: a local run knows queues of the template as event sources`);
      const scaling = properties.ScalingConfig as { readonly MaximumConcurrency?: number } | undefined;
      const answers = (properties.FunctionResponseTypes ?? []) as readonly string[];
      return {
        functionId: functionBehind(template, properties.FunctionName, id),
        queueUrl: queue.ref,
        queueArn: queue.attributes.Arn ?? '',
        batchSize: Number(properties.BatchSize ?? BATCH_SIZE),
        windowMs: Number(properties.MaximumBatchingWindowInSeconds ?? 0) * 1000,
        maxConcurrency: scaling?.MaximumConcurrency ?? CONCURRENCY,
        reportsFailures: answers.includes('ReportBatchItemFailures'),
      };
    });
}

/**
 * Does what Lambda's pollers do for one mapping: receives messages, invokes the function with them, at most so often at one
 * time, and deletes those that it has dealt with. What it has not comes back when its visibility timeout ends.
 */
export class QueuePoller {
  private readonly invocations = new Set<Promise<void>>();
  private readonly ending = new AbortController();
  private readonly loop: Promise<void>;

  /** @param warn is told of invocations and calls that failed */
  public constructor(
    private readonly source: EventSource,
    private readonly lambda: LambdaFunction,
    private readonly service: AwsService,
    private readonly warn: (text: string) => void,
  ) {
    this.loop = this.poll();
  }

  /** Receives no more, and resolves when the invocations in progress have ended. */
  public async close(): Promise<void> {
    this.ending.abort();
    await this.loop;
    await Promise.all(this.invocations);
  }

  private async poll(): Promise<void> {
    while (!this.ending.signal.aborted) {
      if (this.invocations.size >= this.source.maxConcurrency) {
        await Promise.race([...this.invocations, ended(this.ending.signal)]);
        continue;
      }
      try {
        const messages = await this.batch();
        if (messages.length > 0) this.start(messages);
      } catch (error) {
        if (this.ending.signal.aborted) return;
        this.warn(`${this.source.functionId}: ${(error as Error).message}`);
        await Promise.race([this.service.pause(FAILURE_PAUSE_MS), ended(this.ending.signal)]);
      }
    }
  }

  /** Receives messages until there are enough for an invocation, or the time for it is over. */
  private async batch(): Promise<RawMessage[]> {
    const { batchSize, windowMs } = this.source;
    const messages = await this.receive(Math.min(batchSize, MOST_RECEIVED), WAIT_SECONDS);
    const until = performance.now() + windowMs;
    while (messages.length > 0 && messages.length < batchSize && !this.ending.signal.aborted) {
      const seconds = Math.min(WAIT_SECONDS, Math.ceil((until - performance.now()) / 1000));
      if (seconds <= 0) break;
      messages.push(
        ...(await this.receive(Math.min(batchSize - messages.length, MOST_RECEIVED), Math.min(seconds, 1))),
      );
    }
    return messages;
  }

  private async receive(most: number, waitSeconds: number): Promise<RawMessage[]> {
    const input = {
      QueueUrl: this.source.queueUrl,
      MaxNumberOfMessages: most,
      WaitTimeSeconds: waitSeconds,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    };
    const options = { extraMs: waitSeconds * 1000, signal: this.ending.signal };
    const once = { ...this.service, attempts: 1 };
    const answer = await callJson(once, 'AmazonSQS.ReceiveMessage', input, options);
    return [...((answer as { readonly Messages?: readonly RawMessage[] }).Messages ?? [])];
  }

  private start(messages: readonly RawMessage[]): void {
    const invocation = this.invoke(messages)
      .catch((error: unknown) => this.warn(`${this.source.functionId}: ${(error as Error).message}`))
      .finally(() => this.invocations.delete(invocation));
    this.invocations.add(invocation);
  }

  private async invoke(messages: readonly RawMessage[]): Promise<void> {
    const Records = messages.map((message) => recordOf(message, this.source.queueArn, this.service.region));
    const answer = await this.lambda.invoke({ Records });
    const failed = this.source.reportsFailures ? failuresIn(answer, messages) : new Set<string>();
    const Entries = messages
      .filter(({ MessageId: id }) => !failed.has(id))
      .map(({ ReceiptHandle }, i) => ({ Id: String(i), ReceiptHandle }));
    for (let i = 0; i < Entries.length; i += MOST_RECEIVED) {
      const input = { QueueUrl: this.source.queueUrl, Entries: Entries.slice(i, i + MOST_RECEIVED) };
      await callJson(this.service, 'AmazonSQS.DeleteMessageBatch', input);
    }
  }
}

/** Which messages failed: all of them where the answer names one that was none of them, as Lambda holds it. */
function failuresIn(answer: unknown, messages: readonly RawMessage[]): ReadonlySet<string> {
  const { batchItemFailures: failures } = (answer ?? {}) as {
    readonly batchItemFailures?: readonly { readonly itemIdentifier?: unknown }[] | null;
  };
  const ids = new Set(messages.map(({ MessageId: id }) => id));
  const failed = (failures ?? []).map(({ itemIdentifier: id }) => String(id));
  return failed.every((id) => ids.has(id)) ? new Set(failed) : ids;
}

function recordOf(message: RawMessage, eventSourceARN: string, awsRegion: string): object {
  const attributes = Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [
    name,
    {
      ...(value.StringValue !== undefined && { stringValue: value.StringValue }),
      ...(value.BinaryValue !== undefined && { binaryValue: value.BinaryValue }),
      ...{ stringListValues: [], binaryListValues: [], dataType: value.DataType },
    },
  ]);
  return {
    messageId: message.MessageId,
    receiptHandle: message.ReceiptHandle,
    body: message.Body,
    attributes: message.Attributes ?? {},
    messageAttributes: Object.fromEntries(attributes) as object,
    md5OfBody: message.MD5OfBody,
    ...{ eventSource: 'aws:sqs', eventSourceARN, awsRegion },
  };
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
