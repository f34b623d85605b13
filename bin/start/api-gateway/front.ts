import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { finished, pipeline as pipelineToEnd } from 'node:stream/promises';
import type { LambdaFunction } from '../lambda-runtime';
import { BodyTooLarge, readBody } from '../read-body';
import { StreamedResponse } from '../response-stream';
import type { ApiDefinition, Route } from './api-definition';
import { GatewayError, renderGatewayError } from './gateway-response';
import { type GatewayRequest, isBinary, methodArn, proxyEvent } from './proxy-event';
import { type BodyCheck, bodyChecks } from './request-model';
import { findRoute, type RouteMatch } from './route-table';
import { type Caller, TokenAuthorizer } from './token-authorizer';
import type { UsagePlans } from './usage-plans';

/** What the front works with. */
export interface FrontProps {
  readonly api: ApiDefinition;
  readonly usagePlans: UsagePlans;
  /** The loaded functions by their logical id. */
  readonly functions: ReadonlyMap<string, LambdaFunction>;
  /** Told of every request that was answered, or broke off. */
  onAnswered(answered: AnsweredRequest): void;
}

/** One line of an access log. */
export interface AnsweredRequest {
  readonly method: string;
  readonly path: string;
  readonly statusCode: number;
  readonly milliseconds: number;
  readonly tenant?: string;
  readonly cache?: string;
  readonly servedBy?: string;
}

/** API Gateway's limit of a payload, which cannot be raised. */
const MOST_BODY_BYTES = 10 * 1024 * 1024;

/** Lambda's limit of an event: 6 MiB and 100 bytes. The gateway passes on its refusal as one of its own. */
const MOST_EVENT_BYTES = 6 * 1024 * 1024 + 100;

/** JSON writes a byte of a body in six at the most: a smaller body's event is not worth measuring. */
const SMALL_BODY_BYTES = 1024 * 1024 - 64 * 1024;

type PreparedRoute = Route & { readonly checks: ReadonlyMap<string, BodyCheck> };

/**
 * Does for the handlers what API Gateway does, as the synthesised template tells it to: routes, authorizer and its
 * cache, usage plans, request models, the payload limit, its own error answers, and the streaming integration. Left to
 * the real thing: WAF, TLS, stage-wide throttles, access logs and the integration's time limits.
 */
export class ApiGatewayFront {
  private readonly routes: readonly PreparedRoute[];
  private readonly authorizers = new Map<string, TokenAuthorizer>();
  private readonly inProgress = new Set<Promise<void>>();

  public constructor(private readonly props: FrontProps) {
    this.routes = props.api.routes.map((route) => ({ ...route, checks: bodyChecks(route.bodySchemas) }));
    for (const { authorizer } of this.routes) {
      if (!authorizer || this.authorizers.has(authorizer.id)) continue;
      const invoke = (event: unknown) => this.functionOf(authorizer.functionId).invoke(event);
      this.authorizers.set(authorizer.id, new TokenAuthorizer(authorizer, invoke, Date.now));
    }
  }

  /** Answers one HTTP request. */
  public handle(message: IncomingMessage, response: ServerResponse): void {
    const request = gatewayRequest(message, this.props.api.stage);
    response.setHeader('x-amzn-requestid', request.requestId);
    const startedAt = performance.now();
    let caller: Caller | undefined;
    const work = this.answer(request, response, (known) => (caller = known))
      .catch((error: unknown) => this.refuse(request, response, error))
      .then(() => closed(response))
      .finally(() => {
        this.inProgress.delete(work);
        this.props.onAnswered({
          method: message.method ?? '',
          path: request.path,
          statusCode: response.statusCode,
          milliseconds: performance.now() - startedAt,
          tenant: caller?.context.tenant,
          cache: response.getHeader('x-cache')?.toString(),
          servedBy: response.getHeader('x-served-by')?.toString(),
        });
      });
    this.inProgress.add(work);
  }

  /** Resolves when every request that came in is answered and its handler has ended. */
  public async idle(): Promise<void> {
    while (this.inProgress.size > 0) await Promise.all(this.inProgress);
  }

  private async answer(
    request: GatewayRequest,
    response: ServerResponse,
    onCaller: (caller: Caller) => void,
  ): Promise<void> {
    const { message, path } = request;
    const match = findRoute(this.routes, message.method ?? '', path);
    // So does API Gateway, whose clients then look for a wrong key: it cannot tell a wrong path from a missing one.
    if (!match) throw new GatewayError('MISSING_AUTHENTICATION_TOKEN');

    const { authorizer, apiKeyRequired, integration } = match.route;
    let caller: Caller | undefined;
    if (authorizer) {
      const token = message.headers[authorizer.header];
      caller = await this.authorizers.get(authorizer.id)!.authorize([token].flat()[0], methodArn(request));
      onCaller(caller);
    }
    if (apiKeyRequired) this.props.usagePlans.count(caller?.usageIdentifierKey);

    const body = await readBody(message, MOST_BODY_BYTES);
    checkBody(match.route, message, body);
    if (integration.kind === 'mock') {
      response.writeHead(integration.statusCode, { 'content-type': integration.contentType }).end(integration.body);
      return;
    }
    await this.stream(this.functionOf(integration.functionId), { request, match, caller, body }, response);
  }

  /** Invokes a function and passes its answer on as it comes. */
  private async stream(
    lambda: LambdaFunction,
    {
      request,
      match,
      caller,
      body,
    }: { request: GatewayRequest; match: RouteMatch<Route>; caller?: Caller; body: Buffer },
    response: ServerResponse,
  ): Promise<void> {
    const type = request.message.headers['content-type'];
    const sent = { bytes: body, isBinary: isBinary(type, this.props.api.binaryMediaTypes) };
    const event = proxyEvent(request, match, caller, sent, Date.now());
    const isMeasured = body.length > SMALL_BODY_BYTES;
    if (isMeasured && Buffer.byteLength(JSON.stringify(event)) > MOST_EVENT_BYTES) {
      throw new GatewayError('REQUEST_TOO_LARGE');
    }
    const { stream, ended } = lambda.invokeStreaming(event);
    const answer = new StreamedResponse();
    // Its failure is seen where the answer is read.
    pipeline(stream, answer, () => undefined);
    const hangUp = () => stream.destroy();
    response.on('close', hangUp);
    try {
      const metadata = await answer.metadata.catch((error: unknown) => {
        if (response.destroyed) return undefined;
        process.stderr.write(`${request.path}: ${(error as Error).message}\n`);
        throw new GatewayError('INTEGRATION_FAILURE');
      });
      if (!metadata) return;
      response.writeHead(metadata.statusCode, { ...metadata.headers, ...metadata.multiValueHeaders } as Record<
        string,
        string
      >);
      // A client that hangs up ends the pipeline with an error, and with it the handler's stream.
      await pipelineToEnd(answer, response).catch(() => undefined);
    } finally {
      await ended;
      response.off('close', hangUp);
    }
  }

  private refuse(request: GatewayRequest, response: ServerResponse, error: unknown): void {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const refusal = refusalOf(error);
    if (!(error instanceof GatewayError) && refusal.type === 'API_CONFIGURATION_ERROR') {
      process.stderr.write(`${request.path}: ${String(error)}\n`);
    }
    const { statusCode, headers, body } = renderGatewayError(
      refusal,
      this.props.api.gatewayResponses,
      request.requestId,
    );
    // What is left of a body that was not read would be taken for the next request.
    if (!request.message.complete) response.setHeader('connection', 'close');
    response.writeHead(statusCode, headers).end(body);
  }

  private functionOf(id: string): LambdaFunction {
    const found = this.props.functions.get(id);
    if (!found) throw new Error(`function ${id} is not loaded`);
    return found;
  }
}

function gatewayRequest(message: IncomingMessage, stage: string): GatewayRequest {
  const url = new URL(`http://local${message.url ?? '/'}`);
  return { requestId: randomUUID(), stage, path: url.pathname, query: url.searchParams, message };
}

/** A body is checked by the model for its content type; API Gateway takes a missing one for JSON. */
function checkBody(route: PreparedRoute, message: IncomingMessage, body: Buffer): void {
  const contentType = (message.headers['content-type'] ?? 'application/json').split(';')[0]!.trim().toLowerCase();
  const wrong = route.checks.get(contentType)?.(body.toString());
  if (wrong !== undefined) throw new GatewayError('BAD_REQUEST_BODY', undefined, wrong);
}

function refusalOf(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError(error instanceof BodyTooLarge ? 'REQUEST_TOO_LARGE' : 'API_CONFIGURATION_ERROR');
}

/** Resolves when the last byte is handed to the network, or the connection is gone. */
async function closed(response: ServerResponse): Promise<void> {
  await finished(response).catch(() => undefined);
}
