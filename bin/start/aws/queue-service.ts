import { randomUUID } from 'node:crypto';
import { attributesDigest, bodyDigest } from './attribute-digest';
import { type MessageAttributes, MessageQueue, type QueueSettings, type StoredMessage } from './message-queue';
import { ServiceError } from './service-error';

const ACCOUNT_ID = '000000000000';

/** SQS's limits: of messages in a call, of bytes in a message and in a call, of seconds. */
const MOST_ENTRIES = 10;
const MOST_BYTES = 1_048_576;
const MOST_VISIBILITY_SECONDS = 43_200;
const MOST_DELAY_SECONDS = 900;
const MOST_WAIT_SECONDS = 20;

type Input = Readonly<Record<string, unknown>>;

interface SendEntry {
  readonly MessageBody: string;
  readonly MessageGroupId?: string;
  readonly DelaySeconds?: number;
  readonly MessageAttributes?: MessageAttributes;
}

interface ReceiptEntry {
  readonly ReceiptHandle: string;
  readonly VisibilityTimeout?: number;
}

interface OpenQueue {
  readonly queue: MessageQueue;
  readonly createdAt: number;
  attributes: Record<string, string>;
}

/** The part of SQS that a local run needs, over its JSON protocol; standard queues only. */
export class QueueService {
  private readonly queues = new Map<string, OpenQueue>();
  private readonly operations: Readonly<Record<string, (input: Input, gone: AbortSignal) => unknown>> = {
    CreateQueue: (input) => this.create(input),
    GetQueueUrl: (input) => ({ QueueUrl: this.urlOf(this.named(String(input.QueueName)) && String(input.QueueName)) }),
    GetQueueAttributes: (input) => ({ Attributes: this.attributesOf(input) }),
    SetQueueAttributes: (input) => this.set(this.opened(input), input.Attributes as Record<string, string>),
    PurgeQueue: (input) => void this.opened(input).queue.purge(),
    SendMessage: (input) => send(this.opened(input).queue, input as unknown as SendEntry),
    SendMessageBatch: (input) => {
      const { queue } = this.opened(input);
      const bytes = entriesOf(input).reduce((sum, entry) => sum + Buffer.byteLength(String(entry.MessageBody)), 0);
      if (bytes > MOST_BYTES) throw new ServiceError('BatchRequestTooLong', `a batch has at most ${MOST_BYTES} bytes`);
      return batch(input, (entry) => send(queue, entry as unknown as SendEntry));
    },
    ReceiveMessage: (input, gone) => this.receive(input, gone),
    DeleteMessage: (input) => remove(this.opened(input).queue, input as unknown as ReceiptEntry),
    DeleteMessageBatch: (input) => {
      const { queue } = this.opened(input);
      return batch(input, (entry) => remove(queue, entry as unknown as ReceiptEntry));
    },
    ChangeMessageVisibility: (input) => changeVisibility(this.opened(input).queue, input as unknown as ReceiptEntry),
    ChangeMessageVisibilityBatch: (input) => {
      const { queue } = this.opened(input);
      return batch(input, (entry) => changeVisibility(queue, entry as unknown as ReceiptEntry));
    },
  };

  /** @param origin of the server, with which queue addresses begin */
  public constructor(
    private readonly origin: () => string,
    private readonly now: () => number,
  ) {}

  /**
   * Carries out an operation.
   *
   * @param gone aborts when the caller has hung up
   * @throws ServiceError
   */
  public async call(operation: string, input: Input, gone: AbortSignal): Promise<unknown> {
    const run = Object.hasOwn(this.operations, operation) ? this.operations[operation] : undefined;
    if (!run) throw new ServiceError('UnknownOperationException', `${operation} of SQS is not served here`);
    return (await run(input, gone)) ?? {};
  }

  private create({ QueueName: name, Attributes: attributes = {} }: Input): object {
    if (typeof name !== 'string' || !/^[\w-]{1,80}$/.test(name)) {
      throw new ServiceError('InvalidParameterValue', `"${String(name)}" is no name of a standard queue`);
    }
    if (!this.queues.has(name)) {
      const settings = { visibilityMs: 30_000, delayMs: 0, waitMs: 0 };
      const queue = new MessageQueue(`arn:aws:sqs:us-east-1:${ACCOUNT_ID}:${name}`, settings, this.now);
      const open: OpenQueue = { queue, createdAt: Math.floor(this.now() / 1000), attributes: {} };
      this.set(open, attributes as Record<string, string>);
      this.queues.set(name, open);
    }
    return { QueueUrl: this.urlOf(name) };
  }

  private set(open: OpenQueue, attributes: Readonly<Record<string, string>>): void {
    const all: Record<string, string> = { ...open.attributes, ...attributes };
    const seconds = (name: string, most: number, otherwise: number) => {
      return secondsOf(name, all[name] === undefined ? otherwise : Number(all[name]), most) * 1000;
    };
    const settings: QueueSettings = {
      visibilityMs: seconds('VisibilityTimeout', MOST_VISIBILITY_SECONDS, 30),
      delayMs: seconds('DelaySeconds', MOST_DELAY_SECONDS, 0),
      waitMs: seconds('ReceiveMessageWaitTimeSeconds', MOST_WAIT_SECONDS, 0),
      ...(all.RedrivePolicy && { redrive: this.redriveOf(all.RedrivePolicy) }),
    };
    open.attributes = all;
    open.queue.settings = settings;
  }

  private redriveOf(policy: string): NonNullable<QueueSettings['redrive']> {
    const { deadLetterTargetArn: arn = '', maxReceiveCount } = JSON.parse(policy) as {
      readonly deadLetterTargetArn?: string;
      readonly maxReceiveCount: number | string;
    };
    const name = arn.split(':').at(-1) ?? '';
    if (!this.queues.has(name)) {
      throw new ServiceError('AWS.SimpleQueueService.NonExistentQueue', `dead letter queue ${arn} does not exist`);
    }
    return { maxReceiveCount: Number(maxReceiveCount), deadLetters: () => this.queues.get(name)?.queue };
  }

  private attributesOf(input: Input): Record<string, string> {
    const { queue, attributes, createdAt } = this.opened(input);
    const { visible, inFlight, delayed } = queue.counts();
    const all: Record<string, string> = {
      ...attributes,
      QueueArn: queue.arn,
      CreatedTimestamp: String(createdAt),
      VisibilityTimeout: String(queue.settings.visibilityMs / 1000),
      DelaySeconds: String(queue.settings.delayMs / 1000),
      ReceiveMessageWaitTimeSeconds: String(queue.settings.waitMs / 1000),
      ApproximateNumberOfMessages: String(visible),
      ApproximateNumberOfMessagesNotVisible: String(inFlight),
      ApproximateNumberOfMessagesDelayed: String(delayed),
    };
    const names = (input.AttributeNames ?? []) as readonly string[];
    return names.includes('All')
      ? all
      : Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
  }

  private async receive(input: Input, gone: AbortSignal): Promise<object> {
    const { queue } = this.opened(input);
    const most = Number(input.MaxNumberOfMessages ?? 1);
    if (!(most >= 1 && most <= MOST_ENTRIES)) {
      throw new ServiceError('InvalidParameterValue', `MaxNumberOfMessages is from 1 to ${MOST_ENTRIES}, not ${most}`);
    }
    const waitMs =
      input.WaitTimeSeconds === undefined
        ? queue.settings.waitMs
        : secondsOf('WaitTimeSeconds', input.WaitTimeSeconds, MOST_WAIT_SECONDS) * 1000;
    const visibilityMs =
      input.VisibilityTimeout === undefined
        ? undefined
        : secondsOf('VisibilityTimeout', input.VisibilityTimeout, MOST_VISIBILITY_SECONDS) * 1000;
    const until = performance.now() + waitMs;
    let messages = queue.receive(most, visibilityMs);
    for (let left = waitMs; messages.length === 0 && left > 0 && !gone.aborted; left = until - performance.now()) {
      await queue.waitForMessage(left, gone);
      // What is received for somebody who hung up would be invisible for nothing.
      if (!gone.aborted) messages = queue.receive(most, visibilityMs);
    }
    const wanted = [input.MessageSystemAttributeNames, input.AttributeNames, input.MessageAttributeNames].flat();
    return messages.length > 0 ? { Messages: messages.map((message) => received(message, wanted)) } : {};
  }

  private opened({ QueueUrl: url }: Input): OpenQueue {
    return this.named(String(url).split('/').at(-1) ?? '');
  }

  private named(name: string): OpenQueue {
    const open = this.queues.get(name);
    if (!open) throw new ServiceError('QueueDoesNotExist', 'The specified queue does not exist.');
    return open;
  }

  private urlOf(name: string): string {
    return `${this.origin()}/${ACCOUNT_ID}/${name}`;
  }
}

function send(queue: MessageQueue, entry: SendEntry): object {
  const { MessageBody: body, MessageGroupId: group, DelaySeconds: delay, MessageAttributes: attributes } = entry;
  if (typeof body !== 'string' || body === '') {
    throw new ServiceError('MissingParameter', 'The request must contain the parameter MessageBody.');
  }
  if (Buffer.byteLength(body) > MOST_BYTES) {
    throw new ServiceError('InvalidParameterValue', `a message has at most ${MOST_BYTES} bytes`);
  }
  if (group === '') throw new ServiceError('InvalidParameterValue', 'MessageGroupId must not be empty');
  const delayMs = delay === undefined ? undefined : secondsOf('DelaySeconds', delay, MOST_DELAY_SECONDS) * 1000;
  const { id } = queue.send({ id: randomUUID(), body, group, attributes }, delayMs);
  return {
    MessageId: id,
    MD5OfMessageBody: bodyDigest(body),
    ...(attributes && { MD5OfMessageAttributes: attributesDigest(attributes) }),
  };
}

function remove(queue: MessageQueue, entry: ReceiptEntry): void {
  queue.remove(...receiptOf(entry));
}

function changeVisibility(queue: MessageQueue, entry: ReceiptEntry): void {
  const seconds = secondsOf('VisibilityTimeout', entry.VisibilityTimeout, MOST_VISIBILITY_SECONDS);
  queue.changeVisibility(...receiptOf(entry), seconds * 1000);
}

/** A receipt says which message it is of, and which of its receipts. */
function receiptOf({ ReceiptHandle: receipt }: ReceiptEntry): [number: number, count: number] {
  const [, number, count] = /^(\d+)\.(\d+)\.local$/.exec(Buffer.from(String(receipt), 'base64').toString()) ?? [];
  if (number === undefined || count === undefined) {
    throw new ServiceError('ReceiptHandleIsInvalid', 'The input receipt handle is invalid.');
  }
  return [Number(number), Number(count)];
}

function received(message: StoredMessage, wanted: readonly unknown[]): object {
  const { number, receiveCount, id, body, attributes, group, sentAt, firstReceivedAt, source } = message;
  const system = Object.entries({
    SentTimestamp: String(sentAt),
    ApproximateReceiveCount: String(receiveCount),
    ApproximateFirstReceiveTimestamp: String(firstReceivedAt),
    SenderId: 'local',
    ...(group !== undefined && { MessageGroupId: group }),
    ...(source !== undefined && { DeadLetterQueueSourceArn: source }),
  }).filter(([name]) => wanted.includes('All') || wanted.includes(name));
  const own = Object.entries(attributes ?? {}).filter(([name]) => wanted.includes('All') || wanted.includes(name));
  return {
    ...{ MessageId: id, Body: body, MD5OfBody: bodyDigest(body) },
    ReceiptHandle: Buffer.from(`${number}.${receiveCount}.local`).toString('base64'),
    ...(system.length > 0 && { Attributes: Object.fromEntries(system) }),
    ...(own.length > 0 && {
      MessageAttributes: Object.fromEntries(own),
      MD5OfMessageAttributes: attributesDigest(Object.fromEntries(own)),
    }),
  };
}

/** Carries out each entry of a batch for itself. */
function batch(input: Input, run: (entry: Input) => object | undefined | void): object {
  const entries = entriesOf(input);
  const Successful: object[] = [];
  const Failed: object[] = [];
  for (const entry of entries) {
    try {
      Successful.push({ Id: entry.Id, ...run(entry) });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      Failed.push({ Id: entry.Id, SenderFault: true, Code: error.code, Message: error.message });
    }
  }
  return { Successful, ...(Failed.length > 0 && { Failed }) };
}

function entriesOf({ Entries: entries }: Input): readonly Input[] {
  const list = (entries ?? []) as readonly Input[];
  if (list.length === 0)
    throw new ServiceError('EmptyBatchRequest', 'There should be at least one entry in the batch.');
  if (list.length > MOST_ENTRIES) {
    throw new ServiceError('TooManyEntriesInBatchRequest', `a batch has at most ${MOST_ENTRIES} entries`);
  }
  if (new Set(list.map(({ Id }) => Id)).size < list.length) {
    throw new ServiceError('BatchEntryIdsNotDistinct', 'two entries of the batch have one id');
  }
  return list;
}

function secondsOf(name: string, value: unknown, most: number): number {
  const seconds = Number(value);
  if (Number.isInteger(seconds) && seconds >= 0 && seconds <= most) return seconds;
  throw new ServiceError('InvalidParameterValue', `${name} is a whole number from 0 to ${most}, not ${String(value)}`);
}
