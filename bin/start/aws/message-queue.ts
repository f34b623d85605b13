import { FairOrder } from './fair-order';
import { IndexedHeap } from './indexed-heap';
import { ServiceError } from './service-error';

/** A message attribute, as the protocol has it. */
export interface MessageAttribute {
  readonly DataType: string;
  readonly StringValue?: string;
  readonly BinaryValue?: string;
}

export type MessageAttributes = Readonly<Record<string, MessageAttribute>>;

/** A message in a queue. One is one object, however large the queue is. */
export class StoredMessage {
  public isWaiting = false;
  public receiveCount = 0;
  public firstReceivedAt = 0;
  /** Until then it is delayed or in flight. */
  public dueAt = 0;
  public isInFlight = false;

  public constructor(
    public readonly number: number,
    public readonly id: string,
    public readonly body: string,
    public readonly group: string | undefined,
    public readonly attributes: MessageAttributes | undefined,
    public readonly sentAt: number,
    /** ARN of the queue whose dead letter it is. */
    public readonly source?: string,
  ) {}
}

/** What a queue is set to. */
export interface QueueSettings {
  readonly visibilityMs: number;
  readonly delayMs: number;
  readonly waitMs: number;
  /** After so many receipts a message goes to the dead letters. */
  readonly redrive?: { readonly maxReceiveCount: number; readonly deadLetters: () => MessageQueue | undefined };
}

/** SQS's limit for a standard queue. */
const MOST_IN_FLIGHT = 120_000;

/** A standard queue in memory. Time passes where it is called: what is due by then has become visible. */
export class MessageQueue {
  private readonly messages = new Map<number, StoredMessage>();
  private readonly order = new FairOrder<StoredMessage>();
  private readonly timed = new IndexedHeap<StoredMessage>((a, b) => a.dueAt < b.dueAt);
  private readonly waiters = new Set<() => void>();
  private timer: NodeJS.Timeout | undefined;
  private numbers = 0;
  private inFlight = 0;

  public constructor(
    public readonly arn: string,
    public settings: QueueSettings,
    private readonly now: () => number,
  ) {}

  public counts(): { readonly visible: number; readonly inFlight: number; readonly delayed: number } {
    this.passTime();
    const { size } = this.timed;
    return { visible: this.messages.size - size, inFlight: this.inFlight, delayed: size - this.inFlight };
  }

  public send(
    message: Pick<StoredMessage, 'id' | 'body' | 'group' | 'attributes'>,
    delayMs = this.settings.delayMs,
  ): StoredMessage {
    return this.add(this.stored(message, this.now()), delayMs);
  }

  /** Receives at once what there is, up to a number. */
  public receive(most: number, visibilityMs = this.settings.visibilityMs): StoredMessage[] {
    this.passTime();
    const received: StoredMessage[] = [];
    while (received.length < most) {
      if (this.inFlight >= MOST_IN_FLIGHT) {
        if (received.length > 0) break;
        throw new ServiceError('OverLimit', `a queue has ${MOST_IN_FLIGHT} messages in flight at the most`, 403);
      }
      const message = this.order.take();
      if (!message) break;
      if (this.isDead(message)) {
        this.order.settle(message);
        this.messages.delete(message.number);
        this.settings.redrive?.deadLetters()?.bury(message, this.arn);
        continue;
      }
      message.receiveCount += 1;
      message.firstReceivedAt ||= this.now();
      received.push(message);
      if (visibilityMs === 0) continue;
      message.isInFlight = true;
      this.inFlight += 1;
      this.dueIn(message, visibilityMs);
    }
    // Visible again at once, yet each but once in one answer.
    for (const message of visibilityMs === 0 ? received : []) {
      this.order.settle(message);
      this.show(message);
    }
    return received;
  }

  /** Waits until something may be there to receive, the time is over or the receiver has gone. */
  public waitForMessage(ms: number, gone: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(limit);
        gone.removeEventListener('abort', done);
        this.waiters.delete(done);
        this.watch();
        resolve();
      };
      const limit = setTimeout(done, ms);
      gone.addEventListener('abort', done);
      this.waiters.add(done);
      this.watch();
    });
  }

  /** Removes a message by the number and the count of a receipt; an older receipt of it removes nothing. */
  public remove(number: number, count: number): void {
    const message = this.messages.get(number);
    if (message?.receiveCount !== count) return;
    this.messages.delete(number);
    this.timed.delete(message);
    if (message.isInFlight) this.land(message);
    else if (message.isWaiting) this.order.remove(message);
  }

  /** Changes for how long a message in flight stays invisible. */
  public changeVisibility(number: number, count: number, ms: number): void {
    this.passTime();
    const message = this.messages.get(number);
    if (!message?.isInFlight || message.receiveCount !== count) {
      throw new ServiceError('MessageNotInflight', 'the message is not in flight');
    }
    if (ms > 0) {
      this.dueIn(message, ms);
      return;
    }
    this.timed.delete(message);
    this.land(message);
    this.show(message);
  }

  public purge(): void {
    for (const message of this.messages.values()) this.remove(message.number, message.receiveCount);
  }

  private isDead({ receiveCount }: StoredMessage): boolean {
    const { redrive } = this.settings;
    return redrive?.deadLetters() !== undefined && receiveCount >= redrive.maxReceiveCount;
  }

  /** Takes a dead letter of another queue, as it was sent. */
  private bury(message: StoredMessage, source: string): void {
    const buried = this.stored(message, message.sentAt, source);
    buried.receiveCount = message.receiveCount;
    this.add(buried, 0);
  }

  private stored(
    { id, body, group, attributes }: Pick<StoredMessage, 'id' | 'body' | 'group' | 'attributes'>,
    sentAt: number,
    source?: string,
  ): StoredMessage {
    this.numbers += 1;
    return new StoredMessage(this.numbers, id, body, group, attributes, sentAt, source);
  }

  private add(message: StoredMessage, delayMs: number): StoredMessage {
    this.messages.set(message.number, message);
    if (delayMs > 0) this.dueIn(message, delayMs);
    else this.show(message);
    return message;
  }

  private show(message: StoredMessage): void {
    this.order.add(message);
    const [waiter] = this.waiters;
    waiter?.();
  }

  private land(message: StoredMessage): void {
    message.isInFlight = false;
    this.inFlight -= 1;
    this.order.settle(message);
  }

  private dueIn(message: StoredMessage, ms: number): void {
    message.dueAt = this.now() + ms;
    this.timed.set(message);
    this.watch();
  }

  private passTime(): void {
    const now = this.now();
    for (let due = this.timed.first(); due && due.dueAt <= now; due = this.timed.first()) {
      this.timed.delete(due);
      if (due.isInFlight) this.land(due);
      this.show(due);
    }
  }

  /** Wakes when the next message is due, as long as somebody waits for one. */
  private watch(): void {
    clearTimeout(this.timer);
    const next = this.timed.first();
    if (!next || this.waiters.size === 0) return;
    this.timer = setTimeout(
      () => {
        this.passTime();
        this.watch();
      },
      Math.max(1, next.dueAt - this.now()),
    );
  }
}
