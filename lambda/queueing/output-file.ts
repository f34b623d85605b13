/** Writes an object chunk by chunk, as fast as it is taken; one without a chunk is not made. */
export class OutputFile {
  private readonly waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private closed = false;
  private failure: { readonly error: unknown } | undefined;
  private upload: Promise<{ readonly bytes: number }> | undefined;
  private wakeReader: (() => void) | undefined;
  private wakeWriter: (() => void) | undefined;

  /**
   * @param begin uploads what it is given, until that ends; what the chunks throw breaks it off
   * @param most bytes that may wait to be taken
   */
  constructor(
    private readonly begin: (chunks: AsyncIterable<Uint8Array>) => Promise<{ readonly bytes: number }>,
    private readonly most = 1024 * 1024,
  ) {}

  /**
   * Adds a chunk; settles when there is room for more.
   *
   * @throws what the upload failed with
   */
  public async write(chunk: Uint8Array): Promise<void> {
    this.start();
    this.waiting.push(chunk);
    this.waitingBytes += chunk.length;
    this.wakeReader?.();
    while (this.waitingBytes > this.most && !this.failure) {
      await new Promise<void>((room) => (this.wakeWriter = room));
    }
    if (this.failure) throw this.failure.error;
  }

  /** Ends the object; settles with its size when it stands. */
  public async end(): Promise<number> {
    if (!this.upload) return 0;
    this.closed = true;
    this.wakeReader?.();
    return (await this.upload).bytes;
  }

  /** Breaks the upload off: nothing is to stand. */
  public async abort(error: unknown): Promise<void> {
    this.failure ??= { error };
    this.wakeReader?.();
    this.wakeWriter?.();
    await this.upload?.catch(() => undefined);
  }

  private start(): void {
    if (this.upload) return;
    this.upload = this.begin(this.chunks());
    this.upload.catch((error: unknown) => {
      this.failure ??= { error };
      this.wakeWriter?.();
    });
  }

  private async *chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.failure) throw this.failure.error;
      const chunk = this.waiting.shift();
      if (chunk) {
        this.waitingBytes -= chunk.length;
        this.wakeWriter?.();
        yield chunk;
      } else if (this.closed) {
        return;
      } else {
        await new Promise<void>((more) => (this.wakeReader = more));
      }
    }
  }
}
