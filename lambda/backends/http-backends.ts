import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { type BackendAnswer, type BackendCall, BackendFailure, type CallBackend } from '../gateway/backend-port';

/** Where a backend is, as known at deployment. */
export interface BackendAddress {
  readonly url: string;
  /** Name in the backend's certificate, where it is not that of the address. */
  readonly serverName?: string;
  /** PEM of the authority, or of the certificate itself, that the backend is trusted by; else the public authorities. */
  readonly ca?: string;
}

/** Calls backends over HTTP, each on its own pool of kept connections. */
export function httpBackends(addresses: Readonly<Record<string, BackendAddress>>): CallBackend {
  const pools = new Map(Object.entries(addresses).map(([name, address]) => [name, new BackendPool(address)]));
  return (call) => {
    const pool = pools.get(call.backend.name);
    if (!pool) return Promise.reject(new BackendFailure('connect', `no address is known for ${call.backend.name}`));
    return pool.call(call);
  };
}

class BackendPool {
  private readonly base: URL;
  private readonly agent: HttpAgent;

  constructor({ url, serverName, ca }: BackendAddress) {
    this.base = new URL(url.endsWith('/') ? url : `${url}/`);
    const kept = { keepAlive: true, scheduling: 'lifo' } as const;
    this.agent =
      this.base.protocol === 'https:'
        ? new HttpsAgent({ ...kept, ...(serverName && { servername: serverName }), ...(ca && { ca }) })
        : new HttpAgent(kept);
  }

  public async call(call: BackendCall): Promise<BackendAnswer> {
    try {
      return await this.attempt(call);
    } catch (error) {
      // The backend closed a kept connection at the very moment of its reuse: the request never reached it.
      if (error instanceof StaleConnection) return await this.attempt(call);
      throw error;
    }
  }

  private attempt(call: BackendCall): Promise<BackendAnswer> {
    const { timeouts } = call.backend;
    const started = performance.now();
    const send = this.base.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(new URL(call.path.replace(/^\//, ''), this.base), {
      method: 'POST',
      agent: this.agent,
      headers: { ...call.headers, 'content-length': String(Buffer.byteLength(call.body)) },
    });
    const limits = new TimeLimits(request, call.signal);
    limits.set('total', timeouts.totalMs, `no end of the answer within ${timeouts.totalMs} ms`);
    limits.set('first byte', call.firstByteMs, `no first byte within ${call.firstByteMs} ms`);
    limitConnecting(request, limits, timeouts.connectMs);

    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException) => {
        limits.clear();
        reject(limits.reason ?? failureOf(error, request));
      };
      request.once('error', fail);
      request.once('response', (response) => {
        const begun = () => {
          response.off('readable', begun).off('end', begun).off('error', fail);
          limits.unset('first byte');
          resolve({
            status: response.statusCode ?? 0,
            headers: singleHeaders(response),
            firstByteMs: performance.now() - started,
            body: bodyOf(response, limits),
            discard: () => {
              limits.clear();
              if (!response.complete) response.destroy();
            },
          });
        };
        response.once('readable', begun).once('end', begun).once('error', fail);
      });
      request.end(call.body);
    });
  }
}

/** The request was written to a connection that the backend had closed already. */
class StaleConnection extends BackendFailure {}

/** The clocks of one call. The first that runs out ends it and is the reason that is told. */
class TimeLimits {
  public reason: BackendFailure | undefined;
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly onAbort = () => {
    this.stop(new BackendFailure('abandoned', 'the client is gone'));
  };

  constructor(
    private readonly request: ClientRequest,
    private readonly signal: AbortSignal,
  ) {
    if (signal.aborted) setImmediate(this.onAbort);
    else signal.addEventListener('abort', this.onAbort, { once: true });
  }

  public set(name: string, ms: number, message: string): void {
    this.timers.set(
      name,
      setTimeout(() => {
        this.stop(new BackendFailure('timeout', message));
      }, ms),
    );
  }

  public unset(name: string): void {
    clearTimeout(this.timers.get(name));
    this.timers.delete(name);
  }

  public clear(): void {
    for (const name of [...this.timers.keys()]) this.unset(name);
    this.signal.removeEventListener('abort', this.onAbort);
  }

  private stop(reason: BackendFailure): void {
    this.reason ??= reason;
    this.request.destroy(this.reason);
  }
}

function limitConnecting(request: ClientRequest, limits: TimeLimits, connectMs: number): void {
  request.once('socket', (socket) => {
    if (!socket.connecting) return;
    limits.set('connect', connectMs, `no connection within ${connectMs} ms`);
    const event = (socket as Partial<TLSSocket>).encrypted ? 'secureConnect' : 'connect';
    socket.once(event, () => {
      limits.unset('connect');
    });
  });
}

function failureOf(error: NodeJS.ErrnoException, request: ClientRequest): BackendFailure {
  const detail = error.code ?? error.message;
  if (request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) {
    return new StaleConnection('broken', `the kept connection was closed (${detail})`);
  }
  const hasConnected = error.syscall !== 'connect' && error.syscall !== 'getaddrinfo';
  return new BackendFailure(hasConnected ? 'broken' : 'connect', detail);
}

async function* bodyOf(response: IncomingMessage, limits: TimeLimits): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw limits.reason ?? new BackendFailure('broken', `the answer broke off (${code ?? message})`);
  } finally {
    limits.clear();
    // After a whole answer this is without effect; a loop that was left early gives up the connection.
    if (!response.complete) response.destroy();
  }
}

function singleHeaders(response: IncomingMessage): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}
