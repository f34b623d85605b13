import { buffer } from 'node:stream/consumers';
import type { ResolvedBatch } from '../../lib/policy/defaults';
import { headerOf } from '../gateway/http-event';
import { type ApiAnswer, type ApiRequest, ok } from './api-answer';
import { EXPIRY_GRACE_SECONDS, WINDOW_SECONDS } from './batch-life';
import { hasEnded } from './batch-record';
import type { BatchBooks, FileBooks, Shelves } from './books';
import { type FileObject, fileKey, fileObject, type FileRecord, sizeFault } from './file-record';
import { fileUploadOf } from './file-upload';
import { isId } from './ids';
import { madeBefore, onceOf, sameRequest } from './once';
import { listed, pageOf } from './page-query';
import { noSuchFile, refused } from './refusals';

/** What the calls of `/v1/files` need from outside. */
export interface FilesPorts {
  readonly files: FileBooks;
  readonly batches: Pick<BatchBooks, 'usedFor' | 'list'>;
  readonly shelves: Shelves;
  readonly settings: ResolvedBatch;
  readonly newFileId: () => string;
  /** Seconds since 1970. */
  readonly now: () => number;
}

/** A larger file is not sent through the function: the client is sent to where it stands. */
export const MOST_SENT_BYTES = 5 * 1024 * 1024;

/** OpenAI's bounds of a part of the list of files. */
const PAGE = { most: 10_000, usual: 10_000 };

/** The calls of `/v1/files`. */
export class FilesApi {
  constructor(private readonly ports: FilesPorts) {}

  /** `POST /v1/files` */
  public async create({ event, caller }: ApiRequest): Promise<ApiAnswer> {
    const { files, batches, shelves, settings } = this.ports;
    const { content, ...upload } = fileUploadOf(event, settings);
    const once = onceOf(headerOf(event, 'idempotency-key'), { path: '/v1/files', ...upload });
    const before = await madeBefore(batches, caller.tenant, once);
    if (before !== undefined) return this.created(await this.find(caller.tenant, before));
    const createdAt = this.ports.now();
    const file: FileRecord = {
      ...{ id: this.ports.newFileId(), tenant: caller.tenant, purpose: 'batch', createdAt },
      ...{ filename: upload.filename, bytes: upload.bytes, status: content ? 'uploaded' : 'pending' },
      expiresAt: createdAt + (upload.keepSeconds ?? settings.retentionDays * 86_400),
    };
    if (content) await shelves.put(fileKey(file), content, 'application/jsonl');
    const used = await files.add(file, once);
    if (!used) return this.created(file);
    // Another request under the same key was faster.
    if (content) await shelves.remove(fileKey(file));
    return this.created(await this.find(caller.tenant, sameRequest(used, once)));
  }

  /** `GET /v1/files` */
  public async list({ event, caller }: ApiRequest): Promise<ApiAnswer> {
    const { queryStringParameters: query } = event;
    const now = this.ports.now();
    const answer = await listed<FileRecord, FileObject>(
      pageOf(query, 'file', PAGE),
      (page) => this.ports.files.list(caller.tenant, page),
      ({ purpose, expiresAt }) => expiresAt > now && (query?.purpose === undefined || purpose === query.purpose),
      (file) => Promise.resolve(fileObject(file)),
    );
    return ok(answer);
  }

  /** `GET /v1/files/{id}` */
  public async retrieve({ caller }: ApiRequest, id: string): Promise<ApiAnswer> {
    const file = await this.find(caller.tenant, id);
    if (file.status === 'uploaded') return ok(fileObject(file));
    const found = await this.ports.shelves.head(fileKey(file));
    if (!found) return ok(fileObject(file));
    if (found.bytes !== file.bytes) return ok(fileObject(file, found.bytes));
    await this.ports.files.arrived(file);
    return ok(fileObject({ ...file, status: 'uploaded' }));
  }

  /** `DELETE /v1/files/{id}` */
  public async remove({ caller }: ApiRequest, id: string): Promise<ApiAnswer> {
    const file = await this.find(caller.tenant, id);
    const user = await this.userOf(file);
    if (user !== undefined) {
      throw refused('file_in_use', `${id} is the input of ${user}, which has not ended. Cancel that first.`, 'id');
    }
    await this.ports.shelves.remove(fileKey(file));
    await this.ports.files.remove(caller.tenant, id);
    return ok({ id, object: 'file', deleted: true });
  }

  /** `GET /v1/files/{id}/content` */
  public async content({ caller }: ApiRequest, id: string): Promise<ApiAnswer> {
    const { shelves } = this.ports;
    const file = await this.find(caller.tenant, id);
    const found = await shelves.head(fileKey(file));
    if (!found) throw notUploaded(file, 'id');
    if (found.bytes > MOST_SENT_BYTES) {
      return { status: 302, headers: { location: await shelves.downloadUrl(fileKey(file), file.filename) } };
    }
    const object = await shelves.open(fileKey(file));
    if (!object) throw noSuchFile(id);
    // Read to its end before the status is sent: a transfer from the bucket that breaks is an error, and no short file.
    const body = await buffer(object.body);
    return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body };
  }

  /**
   * A file of the tenant.
   *
   * @throws ApiError 404 where it has none of that id, whoever else may
   */
  private async find(tenant: string, id: string): Promise<FileRecord> {
    const file = isId('file', id) ? await this.ports.files.find(tenant, id) : undefined;
    if (!file || file.expiresAt <= this.ports.now()) throw noSuchFile(id);
    return file;
  }

  private async created(file: FileRecord): Promise<ApiAnswer> {
    const object = fileObject(file);
    if (file.status === 'uploaded') return ok(object);
    return ok({ ...object, upload_url: await this.ports.shelves.uploadUrl(fileKey(file), file.bytes) });
  }

  /** The batch, if any, that still reads a file. Older ones than a window have ended. */
  private async userOf({ tenant, id }: FileRecord): Promise<string | undefined> {
    const since = this.ports.now() - WINDOW_SECONDS - 2 * EXPIRY_GRACE_SECONDS;
    const limit = 100;
    for (let after: string | undefined; ;) {
      const page = { limit, newestFirst: true, ...(after !== undefined && { after }) };
      const batches = await this.ports.batches.list(tenant, 'batch', page);
      const user = batches.find((batch) => batch.input.fileId === id && !hasEnded(batch));
      if (user) return user.id;
      const last = batches.at(-1);
      if (!last || batches.length < limit || last.createdAt < since) return undefined;
      after = last.id;
    }
  }
}

/** 400: the client has announced a file and not uploaded it. */
export function notUploaded({ id }: FileRecord, param: string): Error {
  return refused('file_not_uploaded', `${id} has not been uploaded: PUT it to the upload_url that you got.`, param);
}

/** 400: an upload was cut off, or is of something else. */
export function incomplete(file: FileRecord, found: number, param: string): Error {
  return refused('file_incomplete', `${file.id} is incomplete: ${sizeFault(file, found)}`, param);
}
