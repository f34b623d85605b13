import { Agent as HttpAgent, type ClientRequest, request as httpRequest, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { type BackendAnswer, type BackendCall, BackendFailure, type CallBackend } from '../gateway/backend-port';
import { AnswerBody } from './answer-body';
import { CallLimits } from './call-limits';

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
  private readonly send: typeof httpRequest;
  /** A call's options by its path: addresses are parsed once and not for each call. */
  private readonly targets = new Map<string, RequestOptions>();

  constructor({ url, serverName, ca }: BackendAddress) {
    this.base = new URL(url.endsWith('/') ? url : `${url}/`);
    const kept = { keepAlive: true, scheduling: 'lifo' } as const;
    if (this.base.protocol === 'https:') {
      this.agent = new HttpsAgent({ ...kept, ...(serverName && { servername: serverName }), ...(ca && { ca }) });
      this.send = httpsRequest;
    } else {
      this.agent = new HttpAgent(kept);
      this.send = httpRequest;
    }
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

  private attempt({ backend, path, headers, body, firstByteMs, signal }: BackendCall): Promise<BackendAnswer> {
    return new Promise((resolve, reject) => {
      const started = performance.now();
      const request = this.send({ ...this.targetOf(path), headers });
      const limits = new CallLimits({ ...backend.timeouts, firstByteMs }, signal, (reason) => request.destroy(reason));
      request.once('socket', (socket) => {
        if (!socket.connecting) return;
        limits.connecting();
        socket.once(this.base.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
          limits.connected();
        });
      });
      // Of what happens after the response has begun, the body tells; this listener stays, since an error needs one.
      request.on('error', (error: NodeJS.ErrnoException) => {
        limits.clear();
        reject(limits.reason ?? failureOf(error, request));
      });
      request.once('response', (response) => {
        const answer = new AnswerBody(response, limits, (failure) => {
          if (failure) {
            reject(failure);
            return;
          }
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            firstByteMs: performance.now() - started,
            body: answer,
            discard: () => {
              answer.discard();
            },
          });
        });
      });
      request.end(body);
    });
  }

  private targetOf(path: string): RequestOptions {
    const known = this.targets.get(path);
    if (known) return known;
    const url = new URL(path.replace(/^\//, ''), this.base);
    // Of all that it knows of an address, a call needs this much; each option more is copied several times a call.
    const { hostname, port, path: pathAndQuery, auth } = urlToHttpOptions(url);
    const target = { hostname, port, auth, path: pathAndQuery, method: 'POST', agent: this.agent };
    this.targets.set(path, target);
    return target;
  }
}

/** The request was written to a connection that the backend had closed already. */
class StaleConnection extends BackendFailure {}

function failureOf(error: NodeJS.ErrnoException, request: ClientRequest): BackendFailure {
  const detail = error.code ?? error.message;
  if (request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) {
    return new StaleConnection('broken', `the kept connection was closed (${detail})`);
  }
  const hasConnected = error.syscall !== 'connect' && error.syscall !== 'getaddrinfo';
  return new BackendFailure(hasConnected ? 'broken' : 'connect', detail);
}
