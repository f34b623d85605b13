import { AwsError, unanswered } from './aws-error';
import { exchange } from './exchange';
import { objectAddress } from './object-address';
import type { AwsService } from './service';

/** Bytes of an object, both ends included, as HTTP counts them; without an end, to the object's own. */
export interface ByteRange {
  readonly from: number;
  readonly to?: number;
}

/** An object, or a part of it, on its way. */
export interface ObjectStream {
  /** To be read once. Leaving it early ends the transfer. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Bytes that the body has. */
  readonly bytes: number;
  readonly etag: string;
}

/** Breaks in a row without one byte between them after which a transfer is given up. */
const MOST_BREAKS = 3;

/**
 * Opens an object. A transfer that breaks goes on where it stopped, as long as the object is still the same: one of
 * gigabytes takes longer than connections live.
 *
 * @returns undefined where there is no such object
 * @throws AwsError of code `InvalidRange` where the range begins at the object's end or behind it
 */
export async function openObject(
  service: AwsService,
  bucket: string,
  key: string,
  range?: ByteRange,
): Promise<ObjectStream | undefined> {
  const opened = await answerFor(service, bucket, key, range);
  if (!opened) return undefined;
  const bytes = Number(opened.headers.get('content-length'));
  const etag = opened.headers.get('etag') ?? '';
  const from = range?.from ?? 0;
  const body = resumed(service, bytes, opened, (done) =>
    answerFor(service, bucket, key, { from: from + done, to: from + bytes - 1 }, etag),
  );
  return { body, bytes, etag };
}

async function* resumed(
  service: AwsService,
  bytes: number,
  opened: Response,
  reopen: (done: number) => Promise<Response | undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let answer = opened;
  let done = 0;
  let breaks = 0;
  for (;;) {
    const reader = (answer.body as ReadableStream<Uint8Array> | null)?.getReader();
    try {
      while (done < bytes) {
        const chunk = reader && (await inTime(reader.read(), service.timeoutMs));
        if (!chunk || chunk.done) throw new Error(`the transfer ended after ${done} of ${bytes} bytes`);
        done += chunk.value.byteLength;
        breaks = 0;
        yield chunk.value;
      }
      return;
    } catch (error) {
      breaks += 1;
      if (breaks > MOST_BREAKS) throw unanswered('GetObject', error);
    } finally {
      // Where all is read, nothing is left to cancel; a reader that left early must not hold the connection.
      void reader?.cancel().catch(() => undefined);
    }
    const again = await reopen(done);
    if (!again) throw new AwsError('GetObject: the object was removed while it was read', 'NoSuchKey', 404);
    answer = again;
  }
}

async function answerFor(
  service: AwsService,
  bucket: string,
  key: string,
  range: ByteRange | undefined,
  etag?: string,
): Promise<Response | undefined> {
  try {
    return await exchange(service, {
      ...{ operation: 'GetObject', method: 'GET', isRepeatable: true },
      ...objectAddress(service, bucket, key),
      headers: {
        ...(range && { range: `bytes=${range.from}-${range.to ?? ''}` }),
        ...(etag !== undefined && { 'if-match': etag }),
      },
      read: (answer) => Promise.resolve(answer),
    });
  } catch (error) {
    if (error instanceof AwsError && error.status === 404 && error.code !== 'NoSuchBucket') return undefined;
    throw error;
  }
}

/** A transfer may take its time, one piece of it may not. */
async function inTime<T>(piece: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException(`nothing came for ${limitMs} ms`, 'TimeoutError')), limitMs);
  });
  try {
    return await Promise.race([piece, late]);
  } finally {
    clearTimeout(timer);
  }
}
