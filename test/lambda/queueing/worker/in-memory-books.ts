import type {
  Claim,
  DeadLetters,
  ItemDesk,
  ItemMessage,
  ItemOutcome,
  ItemQueue,
  ItemRef,
  ResultLine,
  ResultShelf,
} from '../../../../lambda/queueing/item';
import { outcomeOf } from '../../../../lambda/queueing/result-line';

interface Entry {
  state: 'free' | 'running' | 'done' | 'dead';
  leaseUntil: number;
  attempts: number;
  finished: number;
}

const keyOf = ({ batchId, line }: Pick<ItemRef, 'batchId' | 'line'>) => `${batchId}#${line}`;

/** The books of items in this process, with the promises of the real ones; each call may be made to fail. */
export class InMemoryBooks implements ItemDesk, ResultShelf {
  public readonly items = new Map<string, Entry>();
  public readonly results = new Map<string, ResultLine>();
  /** Results by item, with how often each was written. */
  public readonly writes = new Map<string, number>();
  public readonly counts = { completed: 0, failed: 0, skipped: 0 };
  public readonly calls: string[] = [];
  public over: ((item: ItemRef) => 'cancelled' | 'expired' | undefined) | undefined;
  /** Throws to make a call fail. */
  public fault: (call: string) => void = () => undefined;

  constructor(private readonly now: () => number) {}

  public claim(items: readonly ItemMessage[], leaseMs: number): Promise<readonly Claim[]> {
    return this.call('claim', () => items.map((item) => this.claimOne(item, leaseMs)));
  }

  public release(items: readonly ItemRef[]): Promise<void> {
    return this.call('release', () => {
      for (const item of items) {
        const entry = this.entryOf(item);
        if (entry.state !== 'running') continue;
        entry.state = 'free';
        entry.attempts -= 1;
      }
    });
  }

  public finish(items: readonly (ItemRef & { readonly outcome: ItemOutcome })[]): Promise<void> {
    return this.call('finish', () => {
      for (const item of items) {
        const entry = this.entryOf(item);
        if (entry.state === 'done' || entry.state === 'dead') continue;
        if (entry.finished > 0) this.counts.failed -= 1;
        entry.state = 'done';
        entry.finished += 1;
        this.counts[item.outcome] += 1;
      }
    });
  }

  public bury(item: ItemRef): Promise<void> {
    return this.call('bury', () => {
      const entry = this.entryOf(item);
      if (entry.state === 'dead') return;
      if (entry.finished === 0) this.counts.failed += 1;
      Object.assign(entry, { state: 'dead', attempts: 0, finished: entry.finished + 1 });
    });
  }

  public write(
    item: ItemRef,
    result: ResultLine,
    options: { readonly replace: boolean } = { replace: false },
  ): Promise<'written' | 'present'> {
    return this.call('write', () => {
      const key = keyOf(item);
      if (this.results.has(key) && !options.replace) return 'present';
      this.results.set(key, result);
      this.writes.set(key, (this.writes.get(key) ?? 0) + 1);
      return 'written';
    });
  }

  public outcome(item: ItemRef): Promise<ItemOutcome | undefined> {
    return this.call('outcome', () => {
      const result = this.results.get(keyOf(item));
      return result && outcomeOf(result);
    });
  }

  /** Leaves claims as they are: their worker has died. */
  public crash(item: ItemRef): void {
    this.entryOf(item).leaseUntil = 0;
  }

  private claimOne(item: ItemMessage, leaseMs: number): Claim {
    const reason = this.over?.(item);
    const entry = this.entryOf(item);
    if (entry.state === 'done') return { kind: 'done' };
    if (entry.state === 'dead' && !item.redriven) return { kind: 'done' };
    if (entry.state === 'running' && entry.leaseUntil > this.now()) return { kind: 'held', until: entry.leaseUntil };
    if (reason) return { kind: 'over', reason };
    entry.state = 'running';
    entry.attempts += 1;
    entry.leaseUntil = this.now() + leaseMs;
    return { kind: 'claimed', attempts: entry.attempts };
  }

  private entryOf(item: ItemRef): Entry {
    const known = this.items.get(keyOf(item));
    if (known) return known;
    const entry: Entry = { state: 'free', leaseUntil: 0, attempts: 0, finished: 0 };
    this.items.set(keyOf(item), entry);
    return entry;
  }

  private call<Result>(name: string, action: () => Result): Promise<Result> {
    this.calls.push(name);
    return Promise.resolve().then(() => {
      this.fault(name);
      return action();
    });
  }
}

/** A queue and its dead letters in this process. */
export class InMemoryQueue implements ItemQueue {
  public readonly sent: { readonly message: ItemMessage; readonly delaySeconds?: number }[] = [];
  public readonly letters: { readonly message: ItemMessage | { readonly text: string }; readonly reason: string }[] =
    [];
  public fault: (call: string) => void = () => undefined;

  public readonly deadLetters: DeadLetters = {
    send: (message, reason) =>
      Promise.resolve().then(() => {
        this.fault('deadLetters');
        this.letters.push({ message, reason });
      }),
  };

  public send(messages: readonly { readonly message: ItemMessage; readonly delaySeconds?: number }[]): Promise<void> {
    return Promise.resolve().then(() => {
      this.fault('send');
      this.sent.push(...messages);
    });
  }
}
