import type { IncomingMessage } from 'node:http';

/** The body is larger than the reader takes. */
export class BodyTooLarge extends Error {}

/** Reads a request's body whole; past `mostBytes` it stops and throws `BodyTooLarge`. */
export async function readBody(request: IncomingMessage, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed at the throw: the connection still has to carry the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length;
    if (bytes > mostBytes) throw new BodyTooLarge(`the body is larger than ${mostBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
