import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ModelKind } from '../../lib/policy';
import { type HttpListener, listenLocally } from './http-listener';
import { readBody } from './read-body';
import type { StubRequest } from './stub-answers';
import { routeOfKind, sendJson, STUB_ENDPOINTS, type StubPace } from './stub-endpoints';

/** How a stub behaves. Set where it is started, never by a request: what is tested is what clients send. */
export interface ModelStubOptions {
  /** Name of the backend that it stands for; part of its answers. */
  readonly name: string;
  /** 0 for any free port. @default 0 */
  readonly port?: number;
  /** @default - it answers at once */
  readonly pace?: StubPace;
  /**
   * The one path that takes the calls, and of which kind they are.
   *
   * @default - the paths of the OpenAI protocol, and `/` for services
   */
  readonly only?: { readonly path: string; readonly kind: ModelKind };
  /** Status to fail the given call with (the first is 1), or undefined to answer it. @default - no call fails */
  readonly failWith?: (call: number) => number | undefined;
}

/** A running stub. */
export interface ModelStub extends HttpListener {
  /** Calls for an answer so far: health checks and lists of models do not count. */
  calls(): number;
}

/** Slow enough to see a stream run and a cache hit jump, fast enough not to wait for. */
export const DEMONSTRATION_PACE: StubPace = { firstTokenMs: 30, tokenMs: 10 };

const AT_ONCE: StubPace = { firstTokenMs: 0, tokenMs: 0 };
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Starts a server that speaks the OpenAI protocol as vLLM does: chat completions, completions and embeddings, streamed
 * and not; and services, with an echo. Answers are deterministic and echo the question. `GET /health` tells its name and
 * the calls so far.
 *
 * @throws UserError where the port is not to be had
 */
export async function startModelStub(options: ModelStubOptions): Promise<ModelStub> {
  const { name, pace = AT_ONCE, only, failWith } = options;
  let calls = 0;

  const answer = async (route: string, request: IncomingMessage, response: ServerResponse) => {
    if (route === 'GET /health') {
      sendJson(response, 200, { status: 'ok', backend: name, calls });
      return;
    }
    if (route === 'GET /v1/models') {
      const models = [{ id: name, object: 'model', created: 0, owned_by: 'model-stub' }];
      sendJson(response, 200, { object: 'list', data: models });
      return;
    }
    const known = only ? route === `POST ${only.path}` : STUB_ENDPOINTS[route] !== undefined;
    if (!known) {
      sendError(response, 404, `${route} does not exist`);
      return;
    }
    calls += 1;
    const number = calls;
    const failure = failWith?.(number);
    const body = parseObject((await readBody(request, MOST_BYTES)).toString());
    if (failure !== undefined) sendError(response, failure, `${name} was told to fail call ${number}`);
    else if (!body) sendError(response, 400, 'the body must be a JSON object');
    else {
      const answers = STUB_ENDPOINTS[only ? routeOfKind(only.kind, body) : route]!;
      await answers({ backend: name, number, pace, request: body, response });
    }
  };

  const listener = await listenLocally(options.port ?? 0, (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://stub');
    // A failure here means that the client is gone, or sent more than a stub takes.
    answer(`${request.method} ${pathname}`, request, response).catch(() => response.destroy());
  });
  return { ...listener, calls: () => calls };
}

function sendError(response: ServerResponse, status: number, message: string): void {
  sendJson(response, status, { error: { message, type: 'model_stub_error', param: null, code: null } });
}

function parseObject(text: string): StubRequest | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
