import { escapedFully, presignedUrl, type RequestSigner } from '../security/signed-request';
import { AwsError } from './aws-error';
import { type Exchange, exchange } from './exchange';
import { objectAddress } from './object-address';
import { type ByteRange, type ObjectStream, openObject } from './object-stream';
import { MultipartUpload, PART_BYTES, piecesOf } from './object-upload';
import type { AwsService } from './service';

/** What is known of an object without reading it. */
export interface ObjectHead {
  readonly bytes: number;
  readonly etag: string;
  readonly contentType: string;
  /** Milliseconds since 1970, to the second. */
  readonly modifiedAt: number;
}

/** How an object is written. */
export interface PutOptions {
  /** Leaves an object that is there as it is. @default false */
  readonly onlyIfAbsent?: boolean;
  /** @default application/octet-stream */
  readonly contentType?: string;
}

const BINARY = 'application/octet-stream';

/**
 * Objects in a bucket of S3.
 *
 * A role that may not list the bucket (`s3:ListBucket`) is answered 403 where an object is missing, and gets an
 * AwsError of `AccessDenied` where this says undefined.
 */
export class Bucket {
  public constructor(
    private readonly service: AwsService,
    private readonly name: string,
  ) {}

  /** Opens an object, or undefined where there is none. */
  public get(key: string, options: { readonly range?: ByteRange } = {}): Promise<ObjectStream | undefined> {
    return openObject(this.service, this.name, key, options.range);
  }

  /** Reads an object, or a part of it, as UTF-8; undefined where there is none. */
  public async text(key: string, range?: ByteRange): Promise<string | undefined> {
    const object = await this.get(key, range && { range });
    if (!object) return undefined;
    const chunks: Uint8Array[] = [];
    for await (const chunk of object.body) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  /** What an object is like, or undefined where there is none. */
  public async head(key: string): Promise<ObjectHead | undefined> {
    try {
      return await this.call(key, {
        ...{ operation: 'HeadObject', method: 'HEAD', isRepeatable: true },
        read: ({ headers }) =>
          Promise.resolve({
            bytes: Number(headers.get('content-length')),
            etag: headers.get('etag') ?? '',
            contentType: headers.get('content-type') ?? BINARY,
            modifiedAt: Date.parse(headers.get('last-modified') ?? ''),
          }),
      });
    } catch (error) {
      if (error instanceof AwsError && error.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * Writes an object.
   *
   * @returns `present` where there is one, and it was not to be replaced; also where a first try wrote it and its answer
   * was lost
   */
  public async put(
    key: string,
    body: string | Uint8Array,
    { onlyIfAbsent = false, contentType = BINARY }: PutOptions = {},
  ): Promise<'written' | 'present'> {
    try {
      return await this.call(key, {
        ...{ operation: 'PutObject', method: 'PUT', isRepeatable: true, body },
        headers: { 'content-type': contentType, ...(onlyIfAbsent && { 'if-none-match': '*' }) },
        read: () => Promise.resolve('written' as const),
      });
    } catch (error) {
      if (onlyIfAbsent && error instanceof AwsError && error.status === 412) return 'present';
      throw error;
    }
  }

  /**
   * Writes an object of any length in constant memory: three parts of 8 MiB at the most. It is there when all of it is,
   * and where the stream or a call fails, nothing is.
   */
  public async upload(
    key: string,
    chunks: AsyncIterable<Uint8Array>,
    { contentType = BINARY }: Pick<PutOptions, 'contentType'> = {},
  ): Promise<{ readonly bytes: number }> {
    let bytes = 0;
    let upload: MultipartUpload | undefined;
    let sending: Promise<void> | undefined;
    try {
      for await (const piece of piecesOf(chunks, PART_BYTES)) {
        bytes += piece.byteLength;
        if (piece.byteLength < PART_BYTES && !upload) {
          await this.put(key, piece, { contentType });
          return { bytes };
        }
        upload ??= await MultipartUpload.begin(this.service, objectAddress(this.service, this.name, key), contentType);
        await sending;
        sending = upload.send(piece);
        // Its failure is met when the next part is ready; until then it must not count as unhandled.
        sending.catch(() => undefined);
      }
      await sending;
      await upload?.complete();
      return { bytes };
    } catch (error) {
      await sending?.catch(() => undefined);
      // What cannot be aborted is removed by the bucket's lifecycle; the first failure says more.
      await upload?.abort().catch(() => undefined);
      throw error;
    }
  }

  /** Removes an object, or sees that there is none. */
  public async remove(key: string): Promise<void> {
    await this.call(key, {
      ...{ operation: 'DeleteObject', method: 'DELETE', isRepeatable: true },
      read: () => Promise.resolve(),
    });
  }

  /**
   * An address at which anyone may write this object, once or more often, for some time.
   *
   * @param options `seconds` it holds; `bytes`: what is sent must have exactly this length, S3 refuses anything else
   */
  public presignedPut(key: string, options: { readonly seconds: number; readonly bytes: number }): Promise<string> {
    const headers = { 'content-length': String(options.bytes) };
    return this.presigned('PUT', key, options.seconds, headers, {});
  }

  /** An address at which anyone may read this object for some time, as a download of that name. */
  public presignedGet(key: string, options: { readonly seconds: number; readonly filename: string }): Promise<string> {
    const disposition = `attachment; filename*=UTF-8''${escapedFully(options.filename)}`;
    return this.presigned('GET', key, options.seconds, {}, { 'response-content-disposition': disposition });
  }

  private presigned(
    method: string,
    key: string,
    seconds: number,
    headers: Readonly<Record<string, string>>,
    query: Readonly<Record<string, string>>,
  ): Promise<string> {
    const { name, region, credentials, now } = this.service;
    const signer: RequestSigner = { service: name, region, credentials: credentials(), now: now() };
    const address = objectAddress(this.service, this.name, key);
    return presignedUrl({ method, ...address, query, headers }, signer, seconds);
  }

  private call<T>(key: string, call: Exchange<T>): Promise<T> {
    return exchange(this.service, { ...call, ...objectAddress(this.service, this.name, key) });
  }
}
