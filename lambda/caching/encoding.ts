import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';

/**
 * First character of a stored body that is not the answer itself. No answer needs it there, since JSON and event streams
 * have no use for control characters; one that begins with it all the same is escaped.
 */
const MARK = '\u0001';

/** After the mark: the answer as it is, or its length in bytes and, after a colon, itself compressed, in base64. */
const PLAIN = 'p';
const COMPRESSED = 'b';

/**
 * Brotli at its fastest takes half the time of deflate's level 1 on answers of 16 to 200 kB, at the same size or less,
 * and is in every Node.js from 20 on; zstd, which is faster still, is not. Measured on chat answers: 4 kB to 66 % and
 * 200 kB to 44 % of their size, base64 included; streams, which repeat themselves in each event, to 9 % and 4 %. See
 * `bench/caching`.
 */
const FASTEST = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

/** How bodies are stored. */
export interface BodyLimits {
  /** Bodies from this size on are compressed, in bytes of UTF-8. */
  readonly compressAboveBytes: number;
  /** No body is larger, in bytes of UTF-8: what was stored under a larger limit is not read. */
  readonly maxEntryBytes: number;
}

/** What is stored for a body: text, whatever the body, since scripts handle it as text. Compressed only where that is smaller. */
export function encodeBody(body: string, { compressAboveBytes }: Pick<BodyLimits, 'compressAboveBytes'>): string {
  const bytes = Buffer.byteLength(body);
  if (bytes >= compressAboveBytes) {
    const packed = brotliCompressSync(body, FASTEST).toString('base64');
    const stored = `${MARK}${COMPRESSED}${bytes}:${packed}`;
    if (stored.length < bytes) return stored;
  }
  return body.startsWith(MARK) ? MARK + PLAIN + body : body;
}

/**
 * The body that was stored; undefined where it cannot be had, which is as if it had not been stored. Takes no more memory
 * than a body may have, whatever the stored text claims.
 */
export function decodeBody(stored: string, { maxEntryBytes }: Pick<BodyLimits, 'maxEntryBytes'>): string | undefined {
  if (!stored.startsWith(MARK)) return stored;
  if (stored[1] === PLAIN) return stored.slice(2);
  const [, length, packed] = /^b(\d{1,10}):([A-Za-z0-9+/]+={0,2})$/.exec(stored.slice(1)) ?? [];
  const bytes = Number(length);
  if (packed === undefined || bytes > maxEntryBytes) return undefined;
  try {
    const body = brotliDecompressSync(Buffer.from(packed, 'base64'), { maxOutputLength: Math.max(1, bytes) });
    return body.length === bytes ? body.toString('utf8') : undefined;
  } catch {
    return undefined;
  }
}
