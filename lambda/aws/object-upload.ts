import { AwsError, elementOf, refusal } from './aws-error';
import { type Exchange, exchange } from './exchange';
import type { ObjectAddress } from './object-address';
import type { AwsService } from './service';

/** Parts are of this size, the last one smaller: ten thousand of them, S3's limit, make 80 GiB. */
export const PART_BYTES = 8 * 1024 * 1024;

/** An upload in parts that S3 has begun. Nothing can be read of it before it is completed. */
export class MultipartUpload {
  private readonly etags: string[] = [];

  private constructor(
    private readonly service: AwsService,
    private readonly address: ObjectAddress,
    private readonly id: string,
  ) {}

  public static async begin(
    service: AwsService,
    address: ObjectAddress,
    contentType: string,
  ): Promise<MultipartUpload> {
    const answer = await exchange(service, {
      // Begun twice, one upload is never completed: the bucket's lifecycle removes it.
      ...{ operation: 'CreateMultipartUpload', method: 'POST', isRepeatable: true, ...address },
      query: { uploads: '' },
      headers: { 'content-type': contentType },
      read: (text) => text.text(),
    });
    const id = elementOf(answer, 'UploadId');
    if (id === undefined) throw refusal('CreateMultipartUpload', 200, answer);
    return new MultipartUpload(service, address, id);
  }

  /** Sends the next part; sent again, a part replaces itself. */
  public async send(part: Uint8Array): Promise<void> {
    const number = this.etags.push('');
    this.etags[number - 1] = await this.call({
      ...{ operation: 'UploadPart', method: 'PUT', isRepeatable: true },
      query: { partNumber: String(number), uploadId: this.id },
      body: part,
      read: (answer) => Promise.resolve(answer.headers.get('etag') ?? ''),
    });
  }

  /** Makes an object of the parts. */
  public async complete(): Promise<void> {
    const parts = this.etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
    const completed = this.call({
      ...{ operation: 'CompleteMultipartUpload', method: 'POST', isRepeatable: true },
      query: { uploadId: this.id },
      headers: { 'content-type': 'application/xml' },
      body: `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`,
      // S3 begins to answer before it is done: what went wrong then stands under status 200.
      read: async (answer) => {
        const text = await answer.text();
        if (text.includes('<Error>')) throw refusal('CompleteMultipartUpload', 500, text);
      },
    });
    await completed.catch((error: unknown) => {
      // The first try completed it, and its answer was lost.
      const isDone = error instanceof AwsError && error.code === 'NoSuchUpload' && error.followsUncertain;
      if (!isDone) throw error;
    });
  }

  /** Has S3 forget the parts. */
  public async abort(): Promise<void> {
    await this.call({
      ...{ operation: 'AbortMultipartUpload', method: 'DELETE', isRepeatable: true },
      query: { uploadId: this.id },
      read: () => Promise.resolve(),
    });
  }

  private call<T>(call: Exchange<T>): Promise<T> {
    return exchange(this.service, { ...call, ...this.address });
  }
}

/** Cuts a stream into pieces of a size, the last one smaller; an empty stream has one empty piece. */
export async function* piecesOf(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array, void> {
  let piece = Buffer.allocUnsafe(size);
  let filled = 0;
  let count = 0;
  for await (const chunk of chunks) {
    for (let taken = 0; taken < chunk.byteLength;) {
      const part = chunk.subarray(taken, taken + size - filled);
      piece.set(part, filled);
      filled += part.byteLength;
      taken += part.byteLength;
      if (filled < size) continue;
      count += 1;
      yield piece;
      // Not the same again: who has it may still be sending it.
      piece = Buffer.allocUnsafe(size);
      filled = 0;
    }
  }
  if (filled > 0 || count === 0) yield piece.subarray(0, filled);
}
