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

/**
 * The way back over Lambda's response stream.
 *
 * @param stream the function's response stream, whose close tells that the client is gone
 * @param begin gives the stream of the body for status and headers
 */
export function clientConnection(
  stream: Writable,
  begin: (status: number, headers: Readonly<Record<string, string>>) => Writable,
): ClientConnection {
  const gone = new HangUp();
  let ended = false;
  let body: Writable | undefined;
  /** Whoever waits for a stream waits for its end too. */
  let release: () => void = () => undefined;
  const over = () => {
    if (!ended) gone.abort();
    release();
  };
  const watch = (watched: Writable) => watched.once('close', over).on('error', over);
  watch(stream);

  const drained = (target: Writable, event: 'drain' | 'finish') =>
    new Promise<void>((resolve) => {
      release = resolve;
      target.once(event, resolve);
    });

  const started = (): Writable => {
    if (!body) throw new Error('status and headers come first');
    return body;
  };

  return {
    hungUp: gone,
    get started() {
      return body !== undefined;
    },
    start(status, headers) {
      body = begin(status, headers);
      if (body !== stream) watch(body);
    },
    async write(chunk) {
      const target = started();
      if (gone.aborted || target.destroyed || chunk.length === 0) return;
      if (!target.write(chunk)) await drained(target, 'drain');
    },
    async end(chunk) {
      const target = started();
      if (gone.aborted || target.destroyed) return;
      ended = true;
      const finished = drained(target, 'finish');
      // Lambda sends status and headers with the first write, so an empty body needs one too.
      target.end(chunk ?? '');
      await finished;
    },
  };
}
