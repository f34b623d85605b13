/** Things that all may take equally long, with one timer for all of them: a timer of its own for each would cost more. */
export class Deadlines<T> {
  /** When each is over, in the order in which they began, which is that of their ends. */
  private readonly ends = new Map<T, number>();
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
    this.ends.set(item, performance.now() + this.ms);
    this.timer ??= setTimeout(this.check, this.ms);
  }

  /** Something is over, in time or not. */
  public end(item: T): void {
    this.ends.delete(item);
  }

  /** Waits for nothing any more. */
  public clear(): void {
    this.ends.clear();
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private readonly check = () => {
    const now = performance.now();
    this.timer = undefined;
    for (const [item, end] of this.ends) {
      // A timer may run a fraction of a millisecond early.
      if (end - now >= 1) {
        this.timer = setTimeout(this.check, Math.ceil(end - now));
        return;
      }
      this.ends.delete(item);
      this.missed(item);
    }
  };
}
