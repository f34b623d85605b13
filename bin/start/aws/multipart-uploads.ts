import { createHash, randomUUID } from 'node:crypto';
import type { ObjectRequest } from './object-service';
import { ServiceError } from './service-error';
import type { FileStore, StoredFile } from './stored-objects';

interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly contentType: string;
  readonly parts: Map<number, StoredFile>;
}

/** S3's least size of a part that is not the last one. */
const LEAST_PART_BYTES = 5 * 1024 * 1024;
const MOST_PARTS = 10_000;

/** Uploads in parts that are not complete. */
export class MultipartUploads {
  private readonly uploads = new Map<string, Upload>();

  public constructor(private readonly files: FileStore) {}

  /** Begins an upload and answers in XML. */
  public begin({ message, bucket, key }: ObjectRequest): string {
    const id = randomUUID();
    const contentType = message.headers['content-type'] ?? 'binary/octet-stream';
    this.uploads.set(id, { bucket, key, contentType, parts: new Map() });
    return `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`;
  }

  /** Takes a part, which replaces the one of its number, and returns its ETag. */
  public async put(request: ObjectRequest, body: AsyncIterable<Buffer>): Promise<string> {
    const { parts } = this.upload(request);
    const number = Number(request.query.get('partNumber'));
    if (!Number.isInteger(number) || number < 1 || number > MOST_PARTS) {
      throw new ServiceError('InvalidArgument', `Part number must be an integer between 1 and ${MOST_PARTS}`);
    }
    const part = await this.files.write(body);
    const replaced = parts.get(number);
    parts.set(number, part);
    if (replaced) await this.files.remove([replaced]);
    return `"${part.digest}"`;
  }

  /** Puts the parts together that a list in XML names. */
  public async complete(
    request: ObjectRequest,
    xml: string,
  ): Promise<{ readonly file: StoredFile; readonly etag: string; readonly contentType: string }> {
    const { parts, contentType } = this.upload(request);
    const listed = [...xml.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
      number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
      digest: /<ETag>(?:"|&quot;)?([0-9a-f]+)/.exec(part)?.[1],
    }));
    if (listed.length === 0) throw new ServiceError('MalformedXML', 'the list of parts is empty');
    const chosen = listed.map(({ number, digest }, i) => {
      if (i > 0 && number <= listed[i - 1]!.number) {
        throw new ServiceError('InvalidPartOrder', 'The list of parts was not in ascending order.');
      }
      const part = parts.get(number);
      if (part?.digest !== digest || !part) {
        throw new ServiceError('InvalidPart', 'One or more of the specified parts could not be found.');
      }
      return part;
    });
    if (chosen.slice(0, -1).some(({ bytes }) => bytes < LEAST_PART_BYTES)) {
      throw new ServiceError('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size');
    }
    const file = await this.files.write(this.files.readAll(chosen));
    const digests = Buffer.concat(chosen.map(({ digest }) => Buffer.from(digest, 'hex')));
    const etag = `"${createHash('md5').update(digests).digest('hex')}-${chosen.length}"`;
    await this.abort(request);
    return { file, etag, contentType };
  }

  public async abort(request: ObjectRequest): Promise<void> {
    const { parts } = this.upload(request);
    this.uploads.delete(request.query.get('uploadId') ?? '');
    await this.files.remove([...parts.values()]);
  }

  private upload({ query, bucket, key }: ObjectRequest): Upload {
    const upload = this.uploads.get(query.get('uploadId') ?? '');
    if (upload?.bucket !== bucket || upload.key !== key) {
      throw new ServiceError('NoSuchUpload', 'The specified multipart upload does not exist.', 404);
    }
    return upload;
  }
}
