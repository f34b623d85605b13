import { IndexedHeap } from './indexed-heap';

/** What the order of delivery has to know of a message. */
export interface OrderedMessage {
  /** MessageGroupId. */
  readonly group: string | undefined;
  /** Whether it still waits: one that was removed is passed over. */
  isWaiting: boolean;
}

/** The messages of one group that wait, and how many of it are in flight. */
class Group<T extends OrderedMessage> {
  private messages: { readonly message: T; readonly place: number }[] = [];
  private head = 0;
  public inFlight = 0;

  /** How many wait, at most. */
  public get backlog(): number {
    return this.messages.length - this.head;
  }

  public push(message: T, place: number): void {
    this.messages.push({ message, place });
  }

  /** The place of the oldest message that waits; undefined where none does. */
  public oldest(): number | undefined {
    while (this.messages[this.head]?.message.isWaiting === false) this.drop();
    return this.messages[this.head]?.place;
  }

  public shift(): T | undefined {
    if (this.oldest() === undefined) return undefined;
    const { message } = this.messages[this.head]!;
    this.drop();
    return message;
  }

  private drop(): void {
    this.head += 1;
    // What was delivered is let go when it is the larger half: constant time for each message.
    if (this.head * 2 < this.messages.length) return;
    this.messages = this.messages.slice(this.head);
    this.head = 0;
  }
}

/**
 * The order in which a fair queue gives its messages out: the oldest first, but a group that has its share of what is in
 * flight yields to the group that has the least of it, and of equals to the one with the fewest that wait. SQS does not
 * publish its measure of a noisy neighbour; here the share is an equal one for each group that has messages. Messages
 * without a group are nobody's and never noisy.
 */
export class FairOrder<T extends OrderedMessage> {
  private readonly groups = new Map<string | undefined, Group<T>>();
  private readonly byAge = new IndexedHeap<Group<T>>((a, b) => a.oldest()! < b.oldest()!);
  private readonly byLoad = new IndexedHeap<Group<T>>(
    (a, b) => a.inFlight < b.inFlight || (a.inFlight === b.inFlight && a.backlog < b.backlog),
  );
  private places = 0;
  private inFlight = 0;

  /** Puts a message behind all that wait. */
  public add(message: T): void {
    message.isWaiting = true;
    const group = this.groups.get(message.group) ?? new Group<T>();
    this.groups.set(message.group, group);
    this.places += 1;
    group.push(message, this.places);
    this.place(message.group, group);
  }

  /** Takes the next message; it counts as in flight until it is settled. */
  public take(): T | undefined {
    const oldest = this.byAge.first();
    if (!oldest) return undefined;
    const share = this.inFlight / this.groups.size;
    const isNoisy = oldest.inFlight >= share && oldest !== this.groups.get(undefined);
    const group = isNoisy ? this.byLoad.first()! : oldest;
    const message = group.shift()!;
    message.isWaiting = false;
    group.inFlight += 1;
    this.inFlight += 1;
    this.place(message.group, group);
    return message;
  }

  /** Says that a message which was taken is no longer in flight. */
  public settle(message: T): void {
    const group = this.groups.get(message.group)!;
    group.inFlight -= 1;
    this.inFlight -= 1;
    this.place(message.group, group);
  }

  /** Takes a message out that waits. */
  public remove(message: T): void {
    message.isWaiting = false;
    this.place(message.group, this.groups.get(message.group)!);
  }

  private place(name: string | undefined, group: Group<T>): void {
    if (group.oldest() !== undefined) {
      this.byAge.set(group);
      this.byLoad.set(group);
      return;
    }
    this.byAge.delete(group);
    this.byLoad.delete(group);
    if (group.inFlight === 0) this.groups.delete(name);
  }
}
