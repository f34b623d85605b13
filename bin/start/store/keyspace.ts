import { ErrorReply } from '../resp';
import type { Bytes } from './command';

/** The fields of a hash. */
export class Hash extends Map<Bytes, Bytes> {}

/** The members of a sorted set with their scores. */
export class SortedSet extends Map<Bytes, number> {}

export type Value = Bytes | Hash | SortedSet;

/** Deadlines that are set before what has passed its own is looked for; nobody may ever ask for it again. */
const DEADLINES_PER_SWEEP = 1024;

/** The keys of a store with their values and deadlines, on a clock in milliseconds. */
export class Keyspace {
  private readonly values = new Map<Bytes, Value>();
  private readonly deadlines = new Map<Bytes, number>();
  private deadlinesSet = 0;

  /** The moment of the command at hand: one for all that a script does, so that nothing ends in the middle of it. */
  public now = 0;

  constructor(private readonly clock: () => number) {}

  /** Begins a command: reads the clock. */
  public begin(): void {
    this.now = this.clock();
    if (this.deadlinesSet > Math.max(DEADLINES_PER_SWEEP, this.deadlines.size)) this.sweep();
  }

  public read(key: Bytes): Value | undefined {
    const deadline = this.deadlines.get(key);
    if (deadline !== undefined && this.now > deadline) this.delete(key);
    return this.values.get(key);
  }

  public string(key: Bytes): Bytes | undefined {
    const value = this.read(key);
    if (value !== undefined && typeof value !== 'string') throw wrongType();
    return value;
  }

  public hash(key: Bytes): Hash | undefined {
    const value = this.read(key);
    if (value !== undefined && !(value instanceof Hash)) throw wrongType();
    return value;
  }

  public sortedSet(key: Bytes): SortedSet | undefined {
    const value = this.read(key);
    if (value !== undefined && !(value instanceof SortedSet)) throw wrongType();
    return value;
  }

  /** Puts a value in place of what was there. Its deadline stays. */
  public write(key: Bytes, value: Value): void {
    this.values.set(key, value);
  }

  /** Whether there was one. */
  public delete(key: Bytes): boolean {
    this.deadlines.delete(key);
    return this.values.delete(key);
  }

  /** Ends a hash or set that has become empty: Redis keeps none. */
  public deleteIfEmpty(key: Bytes, collection: Hash | SortedSet): void {
    if (collection.size === 0) this.delete(key);
  }

  /** When a key ends, in milliseconds since 1970; undefined for never. */
  public deadline(key: Bytes): number | undefined {
    return this.deadlines.get(key);
  }

  /** Sets when an existing key ends; at once where that has passed. Undefined for never. */
  public setDeadline(key: Bytes, at: number | undefined): void {
    if (at === undefined) {
      this.deadlines.delete(key);
    } else if (at <= this.now) {
      this.delete(key);
    } else {
      this.deadlines.set(key, at);
      this.deadlinesSet += 1;
    }
  }

  public keys(): Bytes[] {
    this.sweep();
    return [...this.values.keys()];
  }

  public clear(): void {
    this.values.clear();
    this.deadlines.clear();
  }

  private sweep(): void {
    for (const key of this.deadlines.keys()) this.read(key);
    this.deadlinesSet = 0;
  }
}

function wrongType(): ErrorReply {
  return new ErrorReply('WRONGTYPE Operation against a key holding the wrong kind of value');
}
