import type { ResolvedPlan } from '../../lib/policy/defaults';
import { ApiError } from '../gateway/api-error';
import { callerOf } from '../gateway/caller';
import type { ClientConnection } from '../gateway/client-connection';
import type { ApiAnswer, ApiEvent, ApiRequest } from './api-answer';
import { BatchesApi, type BatchesPorts } from './batches-api';
import { FilesApi, type FilesPorts } from './files-api';
import { JobsApi, type JobsPorts } from './jobs-api';

/** Everything that the API of background work needs from outside. */
export interface BatchApiPorts extends FilesPorts, BatchesPorts, JobsPorts {
  readonly shelves: FilesPorts['shelves'];
  readonly files: FilesPorts['files'];
  readonly batches: BatchesPorts['batches'];
  readonly plans: readonly ResolvedPlan[];
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly newRequestId: () => string;
  /** Writes what was done to the log. */
  readonly log: (line: Readonly<Record<string, unknown>>) => void;
}

type Route = (request: ApiRequest, id: string) => Promise<ApiAnswer>;

/** The API of background work: files, batches and jobs. Always answers. */
export class BatchApi {
  private readonly routes: Readonly<Record<string, Route>>;

  constructor(private readonly ports: BatchApiPorts) {
    const [files, batches, jobs] = [new FilesApi(ports), new BatchesApi(ports), new JobsApi(ports)];
    this.routes = {
      'POST /v1/files': (request) => files.create(request),
      'GET /v1/files': (request) => files.list(request),
      'GET /v1/files/{id}': (request, id) => files.retrieve(request, id),
      'DELETE /v1/files/{id}': (request, id) => files.remove(request, id),
      'GET /v1/files/{id}/content': (request, id) => files.content(request, id),
      'POST /v1/batches': (request) => batches.create(request),
      'GET /v1/batches': (request) => batches.list(request),
      'GET /v1/batches/{id}': (request, id) => batches.retrieve(request, id),
      'POST /v1/batches/{id}/cancel': (request, id) => batches.cancel(request, id),
      'POST /v1/jobs': (request) => jobs.create(request),
      'GET /v1/jobs': (request) => jobs.list(request),
      'GET /v1/jobs/{id}': (request, id) => jobs.retrieve(request, id),
      'POST /v1/jobs/{id}/cancel': (request, id) => jobs.cancel(request, id),
    };
  }

  /** Serves one request; settles when the answer is sent and the line is written. */
  public async serve(event: ApiEvent, client: ClientConnection): Promise<void> {
    const { nowMs, log } = this.ports;
    const startedAt = nowMs();
    const requestId = event.requestContext.requestId ?? this.ports.newRequestId();
    const { tenant, plan } = event.requestContext.authorizer ?? {};
    const line: Record<string, unknown> = { level: 'info', message: 'batch api', requestId, tenant, plan };
    const headers = { 'x-request-id': requestId };
    try {
      const { route, name, id } = this.routeOf(event);
      line.route = name;
      if (id !== '') line.id = id;
      const answer = await route({ event, caller: callerOf(event, this.ports.plans, nowMs()) }, id);
      line.status = answer.status;
      await send(answer, client, headers);
    } catch (error) {
      const told = error instanceof ApiError ? error : ApiError.internal();
      Object.assign(line, { status: told.status, error: told.body.error.code ?? told.body.error.type });
      if (told !== error) Object.assign(line, { level: 'error', ...faultOf(error) });
      await sendError(told, client, headers);
    }
    log({ ...line, durationMs: nowMs() - startedAt });
  }

  private routeOf({ httpMethod, path }: ApiEvent): {
    readonly route: Route;
    readonly name: string;
    readonly id: string;
  } {
    const [, root, kind, id = '', action = '', ...more] = path.replace(/\/+$/, '').split('/');
    const pattern = `/${root}/${kind}${id === '' ? '' : '/{id}'}${action === '' ? '' : `/${action}`}`;
    const name = `${httpMethod} ${pattern}`;
    const route = Object.hasOwn(this.routes, name) ? this.routes[name] : undefined;
    if (!route || more.length > 0) throw ApiError.unknownPath(httpMethod, path);
    return { route, name, id };
  }
}

async function send(
  { status, headers, body }: ApiAnswer,
  client: ClientConnection,
  common: Readonly<Record<string, string>>,
): Promise<void> {
  const type = body && !Buffer.isBuffer(body) && { 'content-type': 'application/json' };
  client.start(status, { ...common, ...type, ...headers });
  await client.end(Buffer.isBuffer(body) ? body : body && JSON.stringify(body));
}

async function sendError(
  error: ApiError,
  client: ClientConnection,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  if (!client.started) client.start(error.status, { ...headers, ...error.headers, 'content-type': 'application/json' });
  await client.end(JSON.stringify(error.body));
}

function faultOf(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return { 'error.message': String(error) };
  return { 'error.message': error.message, 'error.stack': error.stack };
}
