import type { ResolvedModel } from '../../lib/policy/defaults';
import { ModelKind } from '../../lib/policy/model';
import { ApiError } from '../gateway/api-error';
import { type Caller, modelsOf } from '../gateway/caller';
import { headerOf, jsonBodyOf } from '../gateway/http-event';
import { type ApiAnswer, type ApiRequest, ok } from './api-answer';
import { advanceSplit, newBatch } from './batch-life';
import { type BatchRecord, hasEnded } from './batch-record';
import { type JobObject, jobObject } from './batch-view';
import type { Shelves } from './books';
import type { ItemMessage, ItemQueue, ResultLine } from './item';
import { requestCheck } from './line-check';
import { madeBefore, onceOf, sameRequest } from './once';
import { TenantWork, type WorkPorts } from './tenant-work';

/** What the calls of `/v1/jobs` need from outside. */
export interface JobsPorts extends WorkPorts {
  readonly shelves: Pick<Shelves, 'put' | 'remove' | 'result'>;
  readonly items: ItemQueue;
  readonly newJobId: () => string;
}

const URL_OF: Readonly<Record<Exclude<ModelKind, ModelKind.SERVICE>, string>> = {
  [ModelKind.CHAT]: '/v1/chat/completions',
  [ModelKind.COMPLETION]: '/v1/completions',
  [ModelKind.EMBEDDING]: '/v1/embeddings',
};

/** The calls of `/v1/jobs`: a request that is answered later. */
export class JobsApi {
  private readonly work: TenantWork;

  constructor(private readonly ports: JobsPorts) {
    this.work = new TenantWork('job', ports);
  }

  /** `POST /v1/jobs` */
  public async create({ event, caller }: ApiRequest): Promise<ApiAnswer> {
    const { batches, shelves, settings, now } = this.ports;
    const { tenant, plan } = caller;
    const body = jsonBodyOf(event);
    const once = onceOf(headerOf(event, 'idempotency-key'), { path: '/v1/jobs', body });
    const before = await madeBefore(batches, tenant, once);
    if (before !== undefined) return accepted(await this.objectOf(await this.work.find(tenant, before)));
    const { endpoint, request, model } = this.requestOf(body, caller);
    const id = this.ports.newJobId();
    const line = JSON.stringify({ custom_id: id, method: 'POST', url: endpoint, body: request });
    const bytes = Buffer.byteLength(line);
    if (bytes > settings.maxLineBytes) throw ApiError.tooLarge(bytes, settings.maxLineBytes);
    const input = { key: `jobs/${tenant}/${id}`, bytes };
    const job = newBatch({ id, tenant, plan: plan.name, endpoint, input }, now(), settings.retentionDays);
    await shelves.put(input.key, line, 'application/jsonl');
    const used = await batches.add(job, once);
    if (used) {
      // Another request under the same key was faster.
      await shelves.remove(input.key);
      return accepted(await this.objectOf(await this.work.find(tenant, sameRequest(used, once))));
    }
    // It is in the books: where this fails, the sweeper sends it again.
    const begun = await this.begin(job, model).catch(this.ports.warn);
    return accepted(jobObject(begun ?? job, undefined));
  }

  /** `GET /v1/jobs` */
  public async list(request: ApiRequest): Promise<ApiAnswer> {
    return ok(await this.work.list(request, (job) => Promise.resolve(jobObject(job, undefined))));
  }

  /** `GET /v1/jobs/{id}` */
  public async retrieve({ caller }: ApiRequest, id: string): Promise<ApiAnswer> {
    return ok(await this.objectOf(await this.work.find(caller.tenant, id)));
  }

  /** `POST /v1/jobs/{id}/cancel` */
  public async cancel({ caller }: ApiRequest, id: string): Promise<ApiAnswer> {
    return ok(await this.objectOf(await this.work.cancel(caller, id)));
  }

  /** Sends the one item, and notes that: what a batch has a splitter for. */
  private async begin({ id, tenant, plan, input }: BatchRecord, model: string): Promise<BatchRecord | undefined> {
    const { items, batches, now } = this.ports;
    const place = { line: 1, input: input.key, offset: 0, length: input.bytes };
    const message: ItemMessage = { v: 1, tenant, plan, batchId: id, ...place };
    await items.send([{ message }]);
    const progress = { line: 1, offset: input.bytes, sent: 1, rejected: 0, done: true, models: [model], faults: [] };
    return batches.change(tenant, id, (job) => advanceSplit(job, 0, progress, now()));
  }

  /**
   * The request of a job, and where it goes: to its `url`, or where its model is asked.
   *
   * @throws ApiError as the interactive request would be refused
   */
  private requestOf({ url, ...request }: Readonly<Record<string, unknown>>, { plan }: Caller) {
    const models = modelsOf(plan, this.ports.models);
    if (url !== undefined && typeof url !== 'string') {
      throw ApiError.invalidRequest('url must be a path such as /v1/chat/completions.', 'url');
    }
    const endpoint = url ?? urlFor(models.find(({ name }) => name === request.model));
    try {
      return { endpoint, request, model: requestCheck({ endpoint, plan, models })(request).model };
    } catch (error) {
      if (!(error instanceof ApiError) || error.body.error.code !== 'unknown_url') throw error;
      throw ApiError.invalidRequest('url must be the path of a model or a service.', 'url');
    }
  }

  private async objectOf(job: BatchRecord): Promise<JobObject> {
    const item = { tenant: job.tenant, batchId: job.id, line: 1 };
    const stored = hasEnded(job) ? await this.ports.shelves.result(item) : undefined;
    return jobObject(job, stored === undefined ? undefined : (JSON.parse(stored) as ResultLine));
  }
}

function accepted(job: JobObject): ApiAnswer {
  return { status: 202, headers: { location: `/v1/jobs/${job.id}` }, body: job };
}

/** Where a model is asked. One that is not known is refused by the check of a chat. */
function urlFor(model: ResolvedModel | undefined): string {
  if (model?.kind === ModelKind.SERVICE) return `/v1/services/${model.name}`;
  return URL_OF[model?.kind ?? ModelKind.CHAT];
}
