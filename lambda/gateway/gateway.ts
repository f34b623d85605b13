import type { ResolvedBackend, ResolvedModel, ResolvedPlan } from '../../lib/policy/defaults';
import { parseCacheControl } from '../caching/cache-control';
import { cacheKey, keyScope } from '../caching/cache-key';
import { cacheUse, type CacheUse } from '../caching/entry';
import { RetryBudget } from '../fault-tolerance/retry-budget';
import type { RequestRecord } from '../observability/request-record';
import { ApiError } from './api-error';
import type { ClientConnection } from './client-connection';
import { compute, type ComputePorts } from './computation';
import { headerOf, type HttpEvent, jsonBodyOf } from './http-event';
import { idempotencyOf } from './idempotency';
import { type InferenceRequest, mustFitPlan, parseInferenceRequest } from './inference-request';
import { describeModel, listModels } from './models-list';
import type { GatewayPorts } from './ports';
import { semanticSettings } from './semantic-step';
import { type Endpoint, targetOf } from './target';

/** Who calls, as the authorizer found out. */
interface Caller {
  readonly tenant: string;
  readonly plan: ResolvedPlan;
}

/** The inference gateway: takes a request through all steps, and always answers. */
export class Gateway {
  private readonly since: number;
  private readonly budgets: ReadonlyMap<string, RetryBudget>;
  private readonly computePorts: ComputePorts;

  constructor(private readonly ports: GatewayPorts) {
    this.since = ports.now();
    this.budgets = new Map(
      ports.policy.backends.map(({ name, retries }) => [name, new RetryBudget(retries.budgetRatio)]),
    );
    this.computePorts = {
      ...ports,
      budget: (backend) => this.budgetOf(backend),
      semanticSettings: semanticSettings(ports.policy, ports),
    };
  }

  /** Serves one request. Settles when the answer is sent, the books are settled and the record is written. */
  public async serve(event: HttpEvent, client: ClientConnection): Promise<void> {
    const { now, newId, record: write } = this.ports;
    const requestId = event.requestContext.requestId ?? newId();
    const record: RequestRecord = {
      requestId,
      startedAt: now(),
      durationMs: 0,
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
  }

  private async answer(
    event: HttpEvent,
    client: ClientConnection,
    record: RequestRecord,
    headers: Record<string, string>,
  ): Promise<void> {
    const target = targetOf(event.httpMethod, event.path);
    const caller = this.callerOf(event);
    record.tenant = caller.tenant;
    record.plan = caller.plan.name;
    if (target.kind === 'compute') {
      record.endpoint = target.endpoint;
      await this.compute(event, target.endpoint, caller, { client, record, headers });
      return;
    }
    const models = this.modelsOf(caller);
    const answer =
      target.kind === 'listModels' ? listModels(models, this.since) : describeModel(models, target.model, this.since);
    client.start(200, { ...headers, 'content-type': 'application/json' });
    await client.end(JSON.stringify(answer));
  }

  private async compute(
    event: HttpEvent,
    endpoint: Endpoint,
    caller: Caller,
    way: { client: ClientConnection; record: RequestRecord; headers: Record<string, string> },
  ): Promise<void> {
    const { tenant, plan } = caller;
    const request = parseInferenceRequest(endpoint, jsonBodyOf(event), this.modelsOf(caller));
    const { model, stream } = request;
    way.record.model = model.name;
    way.record.stream = stream;
    mustFitPlan(request, plan);
    const idempotency = idempotencyOf(headerOf(event, 'idempotency-key'), { tenant, endpoint, body: request.body });
    const cache = this.cacheOf(event, tenant, request, idempotency !== undefined);
    if (!cache && parseCacheControl(headerOf(event, 'cache-control')).onlyIfCached) throw ApiError.notStored();
    await compute(
      {
        requestId: way.record.requestId,
        request,
        tenant,
        plan,
        chain: this.chainOf(model),
        cache,
        idempotency,
        client: way.client,
        record: way.record,
        headers: way.headers,
      },
      this.computePorts,
    );
  }

  /** The authorizer has let the caller in; a plan that the policy does not know yet or any more lets nobody compute. */
  private callerOf(event: HttpEvent): Caller {
    const { tenant, plan: name } = event.requestContext.authorizer ?? {};
    if (!tenant || !name) throw ApiError.unauthenticated();
    const plan = this.ports.policy.plans.find((candidate) => candidate.name === name);
    if (!plan) throw ApiError.forbidden(`The plan ${name} of this key is not served here.`);
    return { tenant, plan };
  }

  /** The models that exist for a caller: those of its plan. Any other is as unknown to it as a misspelt one. */
  private modelsOf({ plan }: Caller): readonly ResolvedModel[] {
    const { models } = this.ports.policy;
    return plan.models ? models.filter(({ name }) => plan.models?.includes(name)) : models;
  }

  private cacheOf(
    event: HttpEvent,
    tenant: string,
    { endpoint, model, stream, body }: InferenceRequest,
    computesOnce: boolean,
  ): CacheUse | undefined {
    const settings = this.ports.policy.cache;
    if (!settings) return undefined;
    const key = cacheKey({ scope: keyScope(tenant, model), endpoint, stream, body });
    const wishes = parseCacheControl(headerOf(event, 'cache-control'));
    // Whoever asks for one computation means its own, and finds it under its key.
    return cacheUse(key, settings, computesOnce ? { ...wishes, noCache: true } : wishes);
  }

  private chainOf(model: ResolvedModel): ResolvedBackend[] {
    const { backends } = this.ports.policy;
    return model.backends.flatMap((name) => backends.find((backend) => backend.name === name) ?? []);
  }

  private budgetOf({ name, retries }: ResolvedBackend): RetryBudget {
    return this.budgets.get(name) ?? new RetryBudget(retries.budgetRatio);
  }
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
