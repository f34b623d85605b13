/** Sends in one go what comes at about the same time. */
export class Together<Entry> {
  private waiting: Entry[] = [];
  private sending: Promise<void> | undefined;

  /**
   * @param send sends entries; what it throws, each of those who added them gets
   * @param pause how long others may join
   */
  constructor(
    private readonly send: (entries: readonly Entry[]) => Promise<void>,
    private readonly pause: () => Promise<void>,
  ) {}

  /** Settles when the entry is sent. */
  public add(entry: Entry): Promise<void> {
    this.waiting.push(entry);
    this.sending ??= this.flush();
    return this.sending;
  }

  private async flush(): Promise<void> {
    await this.pause();
    const entries = this.waiting;
    this.waiting = [];
    this.sending = undefined;
    await this.send(entries);
  }
}
