import { isUtf8 } from 'node:buffer';

/** What a line says; undefined where it is no UTF-8 or no JSON. */
export function parsedLine(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) return undefined;
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
