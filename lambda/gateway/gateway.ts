import type { ResolvedBackend, ResolvedModel } from '../../lib/policy/defaults';
import { parseCacheControl } from '../caching/cache-control';
import { cacheKey, keyScope } from '../caching/cache-key';
import { cacheUse, type CacheUse } from '../caching/entry';
import { FirstByteTimes } from '../fault-tolerance/first-byte-times';
import { RetryBudget } from '../fault-tolerance/retry-budget';
import { type ChainLink, chainOf } from '../load-balancing/chain';
import type { RequestRecord } from '../observability/request-record';
import { ApiError } from './api-error';
import { type Caller, callerOf, modelsOf } from './caller';
import type { ClientConnection } from './client-connection';
import { compute, type ComputePorts } from './computation';
import { headerOf, type HttpEvent, jsonBodyOf } from './http-event';
import { idempotencyOf } from './idempotency';
import { type InferenceRequest, mustFitPlan, parseInferenceRequest } from './inference-request';
import { describeModel, listModels, openAiModels } from './models-list';
import type { GatewayPorts } from './ports';
import type { Priority } from './priority';
import { semanticSettings } from './semantic-step';
import { parseServiceRequest } from './service-request';
import { type Target, targetOf } from './target';

/** How often the official clients have tried a request again by themselves, from 1 on. */
const RETRY_COUNT = 'x-stainless-retry-count';

/** The inference gateway: takes a request through all steps, and always answers. */
export class Gateway {
  private readonly since: number;
  private readonly budgets: ReadonlyMap<string, RetryBudget>;
  private readonly chains: ReadonlyMap<ResolvedModel, readonly ChainLink[]>;
  private readonly computePorts: ComputePorts;

  constructor(private readonly ports: GatewayPorts) {
    this.since = ports.now();
    this.budgets = new Map(
      ports.policy.backends.map(({ name, retries }) => [name, new RetryBudget(retries.budgetRatio)]),
    );
    const { models, backends } = ports.policy;
    this.chains = new Map(models.map((model) => [model, chainOf(model, backends)]));
    this.computePorts = {
      ...ports,
      budget: (backend) => this.budgetOf(backend),
      firstBytes: new FirstByteTimes(),
      semanticSettings: semanticSettings(ports.policy, ports),
    };
  }

  /**
   * Serves one request. Settles with its record when the answer is sent, the books are settled, the record is written and
   * breakers that changed are announced.
   */
  public async serve(
    event: HttpEvent,
    client: ClientConnection,
    priority: Priority = 'interactive',
  ): Promise<RequestRecord> {
    const { now, newId, record: write, announce } = this.ports;
    const requestId = event.requestContext.requestId ?? newId();
    const record: RequestRecord = {
      requestId,
      startedAt: now(),
      durationMs: 0,
      priority,
      status: 200,
      storeLost: false,
      hungUp: false,
    };
    const headers: Record<string, string> = { 'x-request-id': requestId };
    try {
      await this.answer(event, client, record, headers);
    } catch (error) {
      await sendError(error, client, record, headers);
    }
    record.durationMs = now() - record.startedAt;
    write(record);
    const { transitions = [] } = record;
    if (transitions.length > 0) {
      await announce(transitions.map((transition) => ({ ...transition, at: now(), reason: 'calls' })));
    }
    return record;
  }

  private async answer(
    event: HttpEvent,
    client: ClientConnection,
    record: RequestRecord,
    headers: Record<string, string>,
  ): Promise<void> {
    const target = targetOf(event.httpMethod, event.path);
    const caller = callerOf(event, this.ports.policy.plans, this.ports.now());
    record.tenant = caller.tenant;
    record.plan = caller.plan.name;
    record.principal = caller.principal;
    if (target.kind === 'compute' || target.kind === 'callService') {
      record.endpoint = target.kind === 'compute' ? target.endpoint : 'service';
      await this.compute(event, target, caller, { client, record, headers });
      return;
    }
    const models = openAiModels(modelsOf(caller.plan, this.ports.policy.models));
    const answer =
      target.kind === 'listModels' ? listModels(models, this.since) : describeModel(models, target.model, this.since);
    client.start(200, { ...headers, 'content-type': 'application/json' });
    await client.end(JSON.stringify(answer));
  }

  private async compute(
    event: HttpEvent,
    target: Extract<Target, { kind: 'compute' | 'callService' }>,
    caller: Caller,
    way: { client: ClientConnection; record: RequestRecord; headers: Record<string, string> },
  ): Promise<void> {
    const { tenant, plan } = caller;
    const models = modelsOf(plan, this.ports.policy.models);
    const request =
      target.kind === 'compute'
        ? parseInferenceRequest(target.endpoint, jsonBodyOf(event), models)
        : parseServiceRequest(target.service, jsonBodyOf(event), models);
    const { model, stream } = request;
    way.record.model = model.name;
    way.record.stream = stream;
    mustFitPlan(request, plan);
    const idempotency = idempotencyOf(headerOf(event, 'idempotency-key'), { tenant, ...identityOf(request) });
    const cache = this.cacheOf(event, tenant, request, idempotency !== undefined);
    if (!cache && parseCacheControl(headerOf(event, 'cache-control')).onlyIfCached) throw ApiError.notStored();
    await compute(
      {
        requestId: way.record.requestId,
        request,
        tenant,
        plan,
        chain: this.chains.get(model) ?? [],
        cache,
        idempotency,
        priority: way.record.priority,
        asksAgain: Number(headerOf(event, RETRY_COUNT)) > 0,
        client: way.client,
        record: way.record,
        headers: way.headers,
      },
      this.computePorts,
    );
  }

  private cacheOf(
    event: HttpEvent,
    tenant: string,
    request: InferenceRequest,
    computesOnce: boolean,
  ): CacheUse | undefined {
    const settings = this.ports.policy.cache;
    if (!settings) return undefined;
    const scope = keyScope(tenant, request.model);
    const key = cacheKey({ scope, stream: request.stream, ...identityOf(request) });
    const wishes = parseCacheControl(headerOf(event, 'cache-control'));
    // Whoever asks for one computation means its own, and finds it under its key.
    return cacheUse(key, settings, computesOnce ? { ...wishes, noCache: true } : wishes);
  }

  private budgetOf({ name, retries }: ResolvedBackend): RetryBudget {
    return this.budgets.get(name) ?? new RetryBudget(retries.budgetRatio);
  }
}

/**
 * What tells a request from others. All of a service's body does, whatever its fields are called: it stands below the
 * fields that the cache knows from the OpenAI protocol and leaves out.
 */
function identityOf({ endpoint, model, body }: InferenceRequest): Pick<InferenceRequest, 'endpoint' | 'body'> {
  return { endpoint, body: endpoint === 'service' ? { service: model.name, request: body } : body };
}

/** Tells the client what is for it to know; the rest is for the log. */
async function sendError(
  error: unknown,
  client: ClientConnection,
  record: RequestRecord,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const told = error instanceof ApiError ? error : ApiError.internal();
  if (told !== error) {
    const fault = error instanceof Error ? error : new Error(String(error));
    record.fault = { message: fault.message, ...(fault.stack !== undefined && { stack: fault.stack }) };
  }
  record.status = told.status;
  record.errorCode = told.body.error.code ?? told.body.error.type;
  if (!client.started) client.start(told.status, { ...headers, ...told.headers, 'content-type': 'application/json' });
  await client.end(JSON.stringify(told.body));
}
