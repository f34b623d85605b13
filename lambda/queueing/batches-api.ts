import { modelsOf } from '../gateway/caller';
import { headerOf, jsonBodyOf } from '../gateway/http-event';
import { type ApiAnswer, type ApiRequest, ok } from './api-answer';
import { newBatch } from './batch-life';
import { type BatchInput, type BatchRecord, hasEnded } from './batch-record';
import { batchRequestOf } from './batch-request';
import { type BatchObject, batchObject } from './batch-view';
import type { FileBooks, Shelves } from './books';
import { fileKey } from './file-record';
import { incomplete, notUploaded } from './files-api';
import { isId } from './ids';
import { madeBefore, onceOf, sameRequest } from './once';
import { noSuchFile, refused } from './refusals';
import { TenantWork, type WorkPorts } from './tenant-work';

/** What the calls of `/v1/batches` need from outside. */
export interface BatchesPorts extends WorkPorts {
  readonly files: Pick<FileBooks, 'find' | 'arrived'>;
  readonly shelves: Pick<Shelves, 'head'>;
  readonly newBatchId: () => string;
}

const NO_COUNTS = { completed: 0, failed: 0, skipped: 0 };

/** The calls of `/v1/batches`. */
export class BatchesApi {
  private readonly work: TenantWork;

  constructor(private readonly ports: BatchesPorts) {
    this.work = new TenantWork('batch', ports);
  }

  /** `POST /v1/batches` */
  public async create({ event, caller }: ApiRequest): Promise<ApiAnswer> {
    const { batches, models, settings, now } = this.ports;
    const { tenant, plan } = caller;
    const body = jsonBodyOf(event);
    const once = onceOf(headerOf(event, 'idempotency-key'), { path: '/v1/batches', body });
    const before = await madeBefore(batches, tenant, once);
    if (before !== undefined) return this.show(await this.work.find(tenant, before));
    const { fileId, ...request } = batchRequestOf(body, {
      ...{ models: modelsOf(plan, models), retentionDays: settings.retentionDays },
    });
    const input = await this.inputOf(tenant, fileId);
    const batch = newBatch(
      { id: this.ports.newBatchId(), tenant, plan: plan.name, input, ...request },
      now(),
      settings.retentionDays,
    );
    const used = await batches.add(batch, once);
    // Another request under the same key was faster.
    if (used) return this.show(await this.work.find(tenant, sameRequest(used, once)));
    // It is in the books: where the message gets lost, the sweeper sends it again.
    await this.ports.control.send({ v: 1, kind: 'split', tenant, batchId: batch.id }).catch(this.ports.warn);
    return this.show(batch);
  }

  /** `GET /v1/batches` */
  public async list(request: ApiRequest): Promise<ApiAnswer> {
    return ok(await this.work.list(request, (batch) => this.objectOf(batch)));
  }

  /** `GET /v1/batches/{id}` */
  public async retrieve({ caller }: ApiRequest, id: string): Promise<ApiAnswer> {
    return this.show(await this.work.find(caller.tenant, id));
  }

  /** `POST /v1/batches/{id}/cancel` */
  public async cancel({ caller }: ApiRequest, id: string): Promise<ApiAnswer> {
    return this.show(await this.work.cancel(caller, id));
  }

  private async show(batch: BatchRecord): Promise<ApiAnswer> {
    return ok(await this.objectOf(batch));
  }

  /** What stands in the record needs no counting; what is in progress is counted. */
  private async objectOf(batch: BatchRecord): Promise<BatchObject> {
    const isCounted = batch.split.sent > 0 && !hasEnded(batch);
    return batchObject(batch, isCounted ? await this.ports.batches.counts(batch.id) : NO_COUNTS);
  }

  /**
   * The file as the input of a batch.
   *
   * @throws ApiError where it is not the tenant's, is for something else or is not there as it was announced
   */
  private async inputOf(tenant: string, id: string): Promise<BatchInput> {
    const { files, shelves, settings } = this.ports;
    const param = 'input_file_id';
    const file = isId('file', id) ? await files.find(tenant, id) : undefined;
    if (!file || file.expiresAt <= this.ports.now()) throw noSuchFile(id, param);
    if (file.purpose !== 'batch') {
      throw refused('invalid_file_purpose', `${id} has the purpose ${file.purpose}; it must be batch.`, param);
    }
    const found = await shelves.head(fileKey(file));
    if (!found) throw notUploaded(file, param);
    if (found.bytes !== file.bytes) throw incomplete(file, found.bytes, param);
    if (found.bytes > settings.maxFileBytes) {
      const message = `${id} has ${found.bytes} bytes; the most is ${settings.maxFileBytes}.`;
      throw refused('file_too_large', message, param);
    }
    if (file.status === 'pending') await files.arrived(file);
    return { key: fileKey(file), bytes: found.bytes, etag: found.etag, fileId: id };
  }
}
