import { Readable } from 'node:stream';
import type { BackendAnswer } from '../gateway/backend-port';

/** An answer that has been read, with another status or another body in its place. */
export function answerWith(
  { status, headers, firstByteMs }: BackendAnswer,
  changes: { readonly status?: number; readonly body: string },
): BackendAnswer {
  return {
    status: changes.status ?? status,
    headers,
    firstByteMs,
    body: Readable.from([Buffer.from(changes.body)]),
    discard: () => undefined,
  };
}
