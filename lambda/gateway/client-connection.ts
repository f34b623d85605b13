import type { Writable } from 'node:stream';
import type { CallSignal } from './backend-port';
import { HangUp } from './hang-up';

/** The way back to the client. */
export interface ClientConnection {
  /** Aborted when the client goes away before its answer has ended. */
  readonly hungUp: CallSignal;
  /** Whether status and headers have been sent. */
  readonly started: boolean;
  /** Sends status and headers. */
  start(status: number, headers: Readonly<Record<string, string>>): void;
  /** Sends a part of the body; settles when the client can take more, or is gone. */
  write(chunk: Buffer | string): Promise<void>;
  /** Sends the rest; settles when it is on its way, or the client is gone. */
  end(chunk?: Buffer | string): Promise<void>;
}

/** Nobody at the other end: what is written is dropped. */
export function nobody(): ClientConnection {
  return {
    hungUp: new HangUp(),
    started: true,
    start: () => undefined,
    write: () => Promise.resolve(),
    end: () => Promise.resolve(),
  };
}
/** Gives the stream of the body for status and headers. */
export type BeginBody = (status: number, headers: Readonly<Record<string, string>>) => Writable;

/**
 * The way back over Lambda's response stream.
 *
 * @param stream the function's response stream, whose close tells that the client is gone
 */
export function clientConnection(stream: Writable, begin: BeginBody): ClientConnection {
  return new StreamConnection(stream, begin);
}

/**
 * A class, and no object with functions: V8 keeps a getter of an object literal with its whole surroundings past every
 * minor garbage collection, which took a sixth of the gateway's processor time (`bench/gateway`).
 */
class StreamConnection implements ClientConnection {
  public readonly hungUp = new HangUp();
  private hasEnded = false;
  private body: Writable | undefined;
  /** Whoever waits for a stream waits for its end too. */
  private release: (() => void) | undefined;

  constructor(
    private readonly stream: Writable,
    private readonly begin: BeginBody,
  ) {
    this.watch(stream);
  }

  public get started(): boolean {
    return this.body !== undefined;
  }

  public start(status: number, headers: Readonly<Record<string, string>>): void {
    this.body = this.begin(status, headers);
    if (this.body !== this.stream) this.watch(this.body);
  }

  public async write(chunk: Buffer | string): Promise<void> {
    const target = this.target();
    if (this.hungUp.aborted || target.destroyed || chunk.length === 0) return;
    if (!target.write(chunk)) await this.once(target, 'drain');
  }

  public async end(chunk?: Buffer | string): Promise<void> {
    const target = this.target();
    if (this.hungUp.aborted || target.destroyed) return;
    this.hasEnded = true;
    const finished = this.once(target, 'finish');
    // Lambda sends status and headers with the first write, so an empty body needs one too.
    target.end(chunk ?? '');
    await finished;
  }

  private watch(watched: Writable): void {
    watched.once('close', this.over).on('error', this.over);
  }

  private readonly over = () => {
    if (!this.hasEnded) this.hungUp.abort();
    this.release?.();
  };

  private once(target: Writable, event: 'drain' | 'finish'): Promise<void> {
    return new Promise((resolve) => {
      this.release = resolve;
      target.once(event, resolve);
    });
  }

  private target(): Writable {
    if (!this.body) throw new Error('status and headers come first');
    return this.body;
  }
}
