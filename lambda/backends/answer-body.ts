import type { IncomingMessage } from 'node:http';
import { BackendFailure } from '../gateway/backend-port';
import type { CallLimits } from './call-limits';

/** What may wait for the reader before the backend is held up. */
const MOST_WAITING_BYTES = 256 * 1024;

/** Who waits for the next chunk. */
interface Reader {
  readonly resolve: (result: IteratorResult<Buffer>) => void;
  readonly reject: (failure: BackendFailure) => void;
}

const DONE = { done: true, value: undefined } as const;

/**
 * The body of an answer, chunk by chunk, for one reader. It is Node's own iterator of a response with less around it:
 * that one costs more than the rest of a call (measured by `bench/gateway`).
 */
export class AnswerBody implements AsyncIterableIterator<Buffer> {
  private readonly waiting: Buffer[] = [];
  private waitingBytes = 0;
  private reader: Reader | undefined;
  private end: 'complete' | BackendFailure | undefined;

  /** `begun` is called once: when the first byte is here, the body has turned out empty, or it has failed. */
  constructor(
    private readonly response: IncomingMessage,
    private readonly limits: CallLimits,
    private begun: ((failure?: BackendFailure) => void) | undefined,
  ) {
    response
      .on('data', (chunk: Buffer) => {
        this.take(chunk);
      })
      .once('end', () => {
        this.finish('complete');
      })
      .once('close', () => {
        this.fail('closed');
      })
      .on('error', (error: NodeJS.ErrnoException) => {
        this.fail(error.code ?? error.message);
      });
  }

  public [Symbol.asyncIterator](): this {
    return this;
  }

  public next(): Promise<IteratorResult<Buffer>> {
    const value = this.waiting.shift();
    if (value) {
      this.waitingBytes -= value.length;
      if (this.response.isPaused() && this.waitingBytes < MOST_WAITING_BYTES) {
        this.limits.heldUp(false);
        this.response.resume();
      }
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

  /** Gives the rest up, and the connection with it; after a whole answer this is without effect. */
  public discard(): void {
    this.limits.clear();
    if (!this.response.complete) this.response.destroy();
  }

  private take(chunk: Buffer): void {
    this.limits.received();
    this.begin();
    if (this.reader) {
      const { resolve } = this.reader;
      this.reader = undefined;
      resolve({ done: false, value: chunk });
      return;
    }
    this.waiting.push(chunk);
    this.waitingBytes += chunk.length;
    if (this.waitingBytes >= MOST_WAITING_BYTES) {
      this.response.pause();
      this.limits.heldUp(true);
    }
  }

  private fail(detail: string): void {
    // Every answer closes in the end, and an error that nobody needs is dear.
    if (!this.end) this.finish(this.limits.reason ?? new BackendFailure('broken', `the answer broke off (${detail})`));
  }

  private finish(end: 'complete' | BackendFailure): void {
    if (this.end) return;
    this.end = end;
    this.limits.clear();
    if (end === 'complete') {
      this.begin();
      this.reader?.resolve(DONE);
    } else {
      this.begin(end);
      this.reader?.reject(end);
    }
  }

  private begin(failure?: BackendFailure): void {
    if (!this.begun) return;
    this.begun(failure);
    this.begun = undefined;
  }
}
