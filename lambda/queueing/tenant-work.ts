import type { ResolvedBatch, ResolvedModel } from '../../lib/policy/defaults';
import type { Caller } from '../gateway/caller';
import type { ApiRequest } from './api-answer';
import { cancelled } from './batch-life';
import type { BatchRecord } from './batch-record';
import type { BatchBooks, ControlQueue } from './books';
import { close } from './close';
import { isId } from './ids';
import { type ListObject, listed, pageOf } from './page-query';
import { noSuchWork } from './refusals';

/** What the calls of `/v1/batches` and of `/v1/jobs` need from outside. */
export interface WorkPorts {
  readonly batches: BatchBooks;
  readonly control: ControlQueue;
  readonly models: readonly ResolvedModel[];
  readonly settings: ResolvedBatch;
  /** Seconds since 1970. */
  readonly now: () => number;
  /** Tells the log of a message that could not be sent; the sweeper makes up for it. */
  readonly warn: (error: unknown) => void;
}

/** OpenAI's bounds of a part of the list of batches; jobs are listed alike. */
const PAGE = { most: 100, usual: 20 };

/** The batches of tenants, or their single jobs: what is done with both in the same way. */
export class TenantWork {
  constructor(
    private readonly kind: 'batch' | 'job',
    private readonly ports: Pick<WorkPorts, 'batches' | 'control' | 'now' | 'warn'>,
  ) {}

  /**
   * One of the tenant's.
   *
   * @throws ApiError 404 where it has none of that id, whoever else may
   */
  public async find(tenant: string, id: string): Promise<BatchRecord> {
    const found = isId(this.kind, id) ? await this.ports.batches.find(tenant, id) : undefined;
    if (!found || found.expiresAt <= this.ports.now()) throw noSuchWork(this.kind, id);
    return found;
  }

  /** The part of the tenant's list that a request asks for. */
  public async list<Shown extends { readonly id: string }>(
    { event, caller }: ApiRequest,
    show: (record: BatchRecord) => Promise<Shown>,
  ): Promise<ListObject<Shown>> {
    const now = this.ports.now();
    return listed<BatchRecord, Shown>(
      pageOf(event.queryStringParameters, this.kind, PAGE),
      (page) => this.ports.batches.list(caller.tenant, this.kind, page),
      ({ expiresAt }) => expiresAt > now,
      show,
    );
  }

  /** Begins no further items of one, and gives it as it is then. */
  public async cancel({ tenant }: Caller, id: string): Promise<BatchRecord> {
    const { batches, now, warn } = this.ports;
    const before = await this.find(tenant, id);
    const changed = await batches.change(tenant, id, (current) => cancelled(current, now()));
    // Where nothing is in progress, nobody else would notice that there is nothing to wait for.
    if (changed) await close(tenant, id, this.ports).catch(warn);
    return (await batches.find(tenant, id)) ?? changed ?? before;
  }
}
