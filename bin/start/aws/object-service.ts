import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { readBody } from '../read-body';
import { MultipartUploads } from './multipart-uploads';
import { ServiceError } from './service-error';
import { FileStore, type StoredFile } from './stored-objects';

/** An object as it stands in a bucket. */
export interface StoredObject {
  readonly file: StoredFile;
  readonly contentType: string;
  /** With its quotation marks. */
  readonly etag: string;
  readonly modifiedAt: number;
}

/** A request of an object. */
export interface ObjectRequest {
  readonly message: IncomingMessage;
  readonly query: URLSearchParams;
  readonly objects: Map<string, StoredObject>;
  readonly bucket: string;
  readonly key: string;
}

const XML = 'application/xml';
const MOST_XML_BYTES = 4 * 1024 * 1024;

/** Objects of a page of a listing. */
const MOST_LISTED = 1000;

/** Parameters of a listing. */
const LISTING: ReadonlySet<string> = new Set([
  'list-type',
  'encoding-type',
  'prefix',
  'continuation-token',
  'max-keys',
]);

/** Query parameters of reads that are served, and those that are signatures or say nothing here. */
const PASSED_OVER = /^(x-amz-|x-id$|response-content-(type|disposition)$)/i;

/** The part of S3 that the handlers need, in path style, with objects in files of a temporary folder. */
export class ObjectService {
  private readonly buckets = new Map<string, Map<string, StoredObject>>();
  private readonly uploads: MultipartUploads;

  private constructor(
    private readonly files: FileStore,
    private readonly now: () => number,
  ) {
    this.uploads = new MultipartUploads(files);
  }

  public static async create(now: () => number): Promise<ObjectService> {
    return new ObjectService(await FileStore.create(), now);
  }

  /**
   * Answers a request.
   *
   * @throws ServiceError
   */
  public async answer(message: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const [bucket = '', ...parts] = url.pathname.slice(1).split('/').map(decodeURIComponent);
    const key = parts.join('/');
    if (key === '') {
      await this.answerBucket(message, response, bucket, url.searchParams);
      return;
    }
    const objects = this.buckets.get(bucket);
    if (!objects) throw new ServiceError('NoSuchBucket', 'The specified bucket does not exist', 404);
    const request: ObjectRequest = { message, query: url.searchParams, objects, bucket, key };
    const [action] = [...url.searchParams.keys()].filter((name) => !PASSED_OVER.test(name));
    const operation = `${message.method} ${['uploads', 'uploadId', 'partNumber'].includes(action ?? '') ? 'upload' : (action ?? '')}`;
    switch (operation) {
      case 'PUT ':
        await this.put(request, response);
        return;
      case 'GET ':
      case 'HEAD ':
        await this.get(request, response);
        return;
      case 'DELETE ':
        await this.remove(request);
        response.writeHead(204).end();
        return;
      case 'POST upload':
        if (action === 'uploads') answerXml(response, this.uploads.begin(request));
        else await this.complete(request, response);
        return;
      case 'PUT upload':
        response.writeHead(200, { etag: await this.uploads.put(request, body(message)) }).end();
        return;
      case 'DELETE upload':
        await this.uploads.abort(request);
        response.writeHead(204).end();
        return;
      default:
        throw new ServiceError('NotImplemented', `${operation.trim()} of S3 is not served here`, 501);
    }
  }

  public close(): Promise<void> {
    return this.files.close();
  }

  private async answerBucket(
    message: IncomingMessage,
    response: ServerResponse,
    bucket: string,
    query: URLSearchParams,
  ): Promise<void> {
    // A location may be asked for; there is one here.
    await readBody(message, MOST_XML_BYTES);
    if (message.method === 'GET' && query.get('list-type') === '2') {
      answerXml(response, listing(this.buckets.get(bucket), query));
      return;
    }
    if (message.method !== 'PUT') {
      throw new ServiceError('NotImplemented', `${message.method} of a bucket is not served here`, 501);
    }
    if (!this.buckets.has(bucket)) this.buckets.set(bucket, new Map());
    response.writeHead(200, { location: `/${bucket}` }).end();
  }

  private async put(request: ObjectRequest, response: ServerResponse): Promise<void> {
    const { message } = request;
    if (message.headers['x-amz-copy-source'] !== undefined) {
      throw new ServiceError('NotImplemented', 'CopyObject is not served here', 501);
    }
    const file = await this.files.write(body(message));
    try {
      // Not before all is read: of several that are written at one time, the first to be complete is there.
      seeAbsence(request);
    } catch (error) {
      await this.files.remove([file]);
      throw error;
    }
    const contentType = message.headers['content-type'] ?? 'binary/octet-stream';
    const stored = this.keep(request, file, `"${file.digest}"`, contentType);
    response.writeHead(200, { etag: stored.etag }).end();
  }

  private async complete(request: ObjectRequest, response: ServerResponse): Promise<void> {
    const xml = (await readBody(request.message, MOST_XML_BYTES)).toString();
    const { file, etag, contentType } = await this.uploads.complete(request, xml);
    this.keep(request, file, etag, contentType);
    answerXml(response, `<CompleteMultipartUploadResult><ETag>${etag}</ETag></CompleteMultipartUploadResult>`);
  }

  private keep({ objects, key }: ObjectRequest, file: StoredFile, etag: string, contentType: string): StoredObject {
    const replaced = objects.get(key);
    const stored = { file, etag, contentType, modifiedAt: this.now() };
    objects.set(key, stored);
    if (replaced) void this.files.remove([replaced.file]);
    return stored;
  }

  private async remove({ objects, key }: ObjectRequest): Promise<void> {
    const removed = objects.get(key);
    objects.delete(key);
    if (removed) await this.files.remove([removed.file]);
  }

  private async get({ message, query, objects, key }: ObjectRequest, response: ServerResponse): Promise<void> {
    const stored = objects.get(key);
    if (!stored) throw new ServiceError('NoSuchKey', 'The specified key does not exist.', 404);
    const { file, etag, contentType, modifiedAt } = stored;
    const wanted = message.headers['if-match'];
    if (wanted !== undefined && wanted !== etag) throw preconditionFailed();
    const { from, to, isPart } = rangeOf(message.headers.range, file.bytes);
    response.writeHead(isPart ? 206 : 200, {
      etag,
      'accept-ranges': 'bytes',
      'last-modified': new Date(modifiedAt).toUTCString(),
      'content-length': to - from + 1,
      'content-type': query.get('response-content-type') ?? contentType,
      ...(query.has('response-content-disposition') && {
        'content-disposition': query.get('response-content-disposition')!,
      }),
      ...(isPart && { 'content-range': `bytes ${from}-${to}/${file.bytes}` }),
    });
    if (message.method === 'HEAD') response.end();
    else await pipeline(this.files.read(file, from, to), response);
  }
}

/** What a client sends, which must be as long as it says: S3 has no objects that were cut off. */
async function* body(message: IncomingMessage): AsyncGenerator<Buffer, void> {
  const encoding = message.headers['content-encoding'];
  if (encoding?.includes('aws-chunked')) {
    throw new ServiceError('NotImplemented', 'bodies in signed chunks are not served here', 501);
  }
  if (message.headers['content-length'] === undefined) {
    throw new ServiceError('MissingContentLength', 'You must provide the Content-Length HTTP header.', 411);
  }
  for await (const chunk of message) yield chunk as Buffer;
  if (!message.complete) throw new Error('the client hung up');
}

function seeAbsence({ message, objects, key }: ObjectRequest): void {
  const condition = message.headers['if-none-match'];
  if (condition === undefined) return;
  if (condition !== '*') throw new ServiceError('NotImplemented', 'If-None-Match is served with * only', 501);
  if (objects.has(key)) throw preconditionFailed();
}

/**
 * A page of a bucket's objects, in the order of their keys' bytes.
 *
 * @throws ServiceError
 */
function listing(objects: ReadonlyMap<string, StoredObject> | undefined, query: URLSearchParams): string {
  if (!objects) throw new ServiceError('NoSuchBucket', 'The specified bucket does not exist', 404);
  const unknown = [...query.keys()].find((name) => !LISTING.has(name));
  if (unknown !== undefined)
    throw new ServiceError('NotImplemented', `${unknown} of a listing is not served here`, 501);
  if (query.get('encoding-type') !== 'url') {
    throw new ServiceError('NotImplemented', 'listings are served with encoding-type=url only', 501);
  }
  const prefix = query.get('prefix') ?? '';
  const after = Buffer.from(query.get('continuation-token') ?? '', 'base64url');
  const most = Number(query.get('max-keys') ?? MOST_LISTED);
  const found = [...objects]
    .map(([key, stored]) => ({ key, bytes: Buffer.from(key), stored }))
    .filter(({ key, bytes }) => key.startsWith(prefix) && (after.length === 0 || Buffer.compare(bytes, after) > 0))
    .sort((one, other) => Buffer.compare(one.bytes, other.bytes));
  const page = found.slice(0, Math.min(most, MOST_LISTED));
  const isCut = page.length < found.length;
  const contents = page.map(
    ({ key, stored: { file, etag, modifiedAt } }) =>
      `<Contents><Key>${encodeURIComponent(key).replaceAll('%2F', '/')}</Key><Size>${file.bytes}</Size>` +
      `<ETag>${etag.replaceAll('"', '&quot;')}</ETag><LastModified>${secondOf(modifiedAt)}</LastModified></Contents>`,
  );
  const next = isCut
    ? `<NextContinuationToken>${page.at(-1)!.bytes.toString('base64url')}</NextContinuationToken>`
    : '';
  return `<ListBucketResult><KeyCount>${page.length}</KeyCount><IsTruncated>${isCut}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`;
}

function preconditionFailed(): ServiceError {
  const words = 'At least one of the pre-conditions you specified did not hold';
  return new ServiceError('PreconditionFailed', words, 412);
}

/** A range that HTTP does not know is passed over, as S3 does; one behind the end is refused. */
function rangeOf(
  header: string | undefined,
  bytes: number,
): { readonly from: number; readonly to: number; readonly isPart: boolean } {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return { from: 0, to: bytes - 1, isPart: false };
  const from = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const to = first === '' || last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1);
  if (from >= bytes) throw new ServiceError('InvalidRange', 'The requested range is not satisfiable', 416);
  if (to < from) return { from: 0, to: bytes - 1, isPart: false };
  return { from, to, isPart: true };
}

function answerXml(response: ServerResponse, xml: string): void {
  response.writeHead(200, { 'content-type': XML }).end(`<?xml version="1.0" encoding="UTF-8"?>\n${xml}`);
}

/** S3 lists whole seconds. */
function secondOf(atMs: number): string {
  return new Date(Math.floor(atMs / 1000) * 1000).toISOString();
}
