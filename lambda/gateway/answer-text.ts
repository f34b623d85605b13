import { type BackendAnswer, BackendFailure } from './backend-port';

/**
 * The whole body of an answer.
 *
 * @throws BackendFailure where it breaks off or is larger than so many bytes
 */
export async function textOf({ body }: BackendAnswer, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new BackendFailure('broken', `the answer has more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
