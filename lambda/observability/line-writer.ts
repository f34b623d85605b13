import type { Writable } from 'node:stream';

/**
 * Writes lines to a stream. Those of requests that end together leave in one write: standard output is a pipe, and
 * waking its reader takes longer than composing a line. They are out before the event loop goes on, so none waits in a
 * function that Lambda has frozen.
 */
export function lineWriter(stream: Writable): (line: string) => void {
  return (line) => {
    if (stream.writableCorked === 0) {
      stream.cork();
      process.nextTick(() => {
        stream.uncork();
      });
    }
    stream.write(`${line}\n`);
  };
}
