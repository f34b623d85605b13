/** Things that all may take equally long, with one timer for all of them: a timer of its own for each would cost more. */
export class Deadlines<T> {
  /**
   * What is waited for, in the order in which it began, which is that of its ends, and when that is. No Map: its old
   * tables point to its new ones, so what was in any of them outlives every minor garbage collection.
   */
  private readonly items: T[] = [];
  private readonly ends: number[] = [];
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param ms how long each may take
   * @param missed called once for each that was not over in time
   */
  constructor(
    private readonly ms: number,
    private readonly missed: (item: T) => void,
  ) {}

  /** Begins to wait for something. */
  public begin(item: T): void {
    this.items.push(item);
    this.ends.push(performance.now() + this.ms);
    this.timer ??= setTimeout(this.check, this.ms);
  }

  /** Something is over, in time or not. */
  public end(item: T): void {
    // Nearly always the first.
    const at = this.items.indexOf(item);
    if (at < 0) return;
    this.items.splice(at, 1);
    this.ends.splice(at, 1);
  }

  /** Waits for nothing any more. */
  public clear(): void {
    this.items.length = 0;
    this.ends.length = 0;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private readonly check = () => {
    this.timer = undefined;
    for (;;) {
      const [end] = this.ends;
      if (end === undefined) return;
      const left = end - performance.now();
      // A timer may run a fraction of a millisecond early.
      if (left >= 1) {
        this.timer ??= setTimeout(this.check, Math.ceil(left));
        return;
      }
      const [item] = this.items.splice(0, 1) as [T];
      this.ends.shift();
      this.missed(item);
    }
  };
}
