import { PassThrough, Transform, type TransformCallback } from 'node:stream';

/**
 * Both ends of a streamed answer: what the handler writes to, and how API Gateway reads it. Between them goes the
 * content type `application/vnd.awslambda.http-integration-response`: status and headers as JSON, eight NUL bytes, then
 * the body.
 */

/** Status and headers of a streamed answer. */
export interface ResponseMetadata {
  readonly statusCode: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly multiValueHeaders?: Readonly<Record<string, readonly string[]>>;
}

const DELIMITER = Buffer.alloc(8);

/** API Gateway takes headers of 10,240 bytes in total; the rest of the prelude is small. */
const MOST_PRELUDE_BYTES = 16 * 1024;

/** The stream that a handler writes its answer to. */
export class ResponseStream extends PassThrough {
  private prelude?: Buffer;

  /** Lambda sends the content type to its own service; here the reader knows it. */
  public setContentType(_contentType: string): void {
    return;
  }

  /** Sends status and headers before the first byte of the body, and not before: so does Lambda. */
  public precedeWith(metadata: unknown): void {
    this.prelude = Buffer.concat([Buffer.from(JSON.stringify(metadata)), DELIMITER]);
  }

  public override _transform(chunk: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    if (this.prelude) this.push(this.prelude);
    this.prelude = undefined;
    super._transform(chunk, encoding, done);
  }
}

/** Takes the stream of an answer and passes its body on; status and headers arrive by `metadata`. */
export class StreamedResponse extends Transform {
  /** Rejects where the stream ends or breaks before they are complete, or where they are malformed. */
  public readonly metadata: Promise<ResponseMetadata>;
  private begun = false;
  private prelude: Buffer = Buffer.alloc(0);
  private accept!: (metadata: ResponseMetadata) => void;
  private refuse!: (error: Error) => void;

  public constructor() {
    super();
    this.metadata = new Promise((resolve, reject) => {
      this.accept = resolve;
      this.refuse = reject;
    });
    this.metadata.catch(() => undefined);
  }

  public override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.begun) {
      done(null, chunk);
      return;
    }
    this.prelude = Buffer.concat([this.prelude, chunk]);
    const end = this.prelude.indexOf(DELIMITER);
    if (end < 0) {
      done(this.prelude.length > MOST_PRELUDE_BYTES ? new Error('the answer has no status and headers') : null);
      return;
    }
    try {
      this.accept(parseMetadata(this.prelude.toString('utf8', 0, end)));
    } catch (error) {
      done(error as Error);
      return;
    }
    this.begun = true;
    const body = this.prelude.subarray(end + DELIMITER.length);
    if (body.length > 0) this.push(body);
    done();
  }

  public override _flush(done: TransformCallback): void {
    done(this.begun ? null : new Error('the answer ended before its status and headers'));
  }

  public override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Of no effect once the metadata is there.
    this.refuse(error ?? new Error('the answer broke off before its status and headers'));
    done(error);
  }
}

function parseMetadata(json: string): ResponseMetadata {
  const metadata = JSON.parse(json) as ResponseMetadata;
  const { statusCode } = metadata;
  if (!Number.isInteger(statusCode) || statusCode < 200 || statusCode > 599) {
    throw new Error(`the answer's status must be a whole number from 200 to 599, got ${JSON.stringify(statusCode)}`);
  }
  return metadata;
}
