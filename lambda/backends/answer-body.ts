import type { BackendFailure } from '../gateway/backend-port';

/** What may wait for the reader before the backend is held up. */
const MOST_WAITING_BYTES = 256 * 1024;

/** Where the chunks come from. */
export interface BodySource {
  /** Keeps the backend from sending more, or lets it go on. */
  hold(isHeld: boolean): void;
  /** Gives the rest up. */
  giveUp(): void;
}

/** Who waits for the next chunk. */
interface Reader {
  readonly resolve: (result: IteratorResult<Buffer>) => void;
  readonly reject: (failure: BackendFailure) => void;
}

const DONE = { done: true, value: undefined } as const;

/** The body of an answer, chunk by chunk, for one reader. */
export class AnswerBody implements AsyncIterableIterator<Buffer> {
  private readonly waiting: Buffer[] = [];
  private waitingBytes = 0;
  private isHeld = false;
  private reader: Reader | undefined;
  private end: 'complete' | BackendFailure | undefined;

  constructor(private readonly source: BodySource) {}

  public [Symbol.asyncIterator](): this {
    return this;
  }

  public next(): Promise<IteratorResult<Buffer>> {
    const value = this.waiting.shift();
    if (value) {
      this.waitingBytes -= value.length;
      if (this.isHeld && this.waitingBytes < MOST_WAITING_BYTES) this.hold(false);
      return Promise.resolve({ done: false, value });
    }
    if (this.end === 'complete') return Promise.resolve(DONE);
    if (this.end) return Promise.reject(this.end);
    return new Promise((resolve, reject) => (this.reader = { resolve, reject }));
  }

  /** A reader that stops early gives the rest up. */
  public return(): Promise<IteratorResult<Buffer>> {
    this.discard();
    return Promise.resolve(DONE);
  }

  /** Gives the rest up; after a whole answer this is without effect. */
  public discard(): void {
    if (!this.end) this.source.giveUp();
  }

  /** Takes the next chunk. */
  public take(chunk: Buffer): void {
    const { reader } = this;
    if (reader) {
      this.reader = undefined;
      reader.resolve({ done: false, value: chunk });
      return;
    }
    this.waiting.push(chunk);
    this.waitingBytes += chunk.length;
    if (!this.isHeld && this.waitingBytes >= MOST_WAITING_BYTES) this.hold(true);
  }

  /** No more comes: that was all, or it broke off. */
  public finish(end: 'complete' | BackendFailure): void {
    this.end = end;
    const { reader } = this;
    this.reader = undefined;
    if (end === 'complete') reader?.resolve(DONE);
    else reader?.reject(end);
  }

  private hold(isHeld: boolean): void {
    this.isHeld = isHeld;
    if (!this.end) this.source.hold(isHeld);
  }
}
