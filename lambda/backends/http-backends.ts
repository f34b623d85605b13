import { type BackendAnswer, type BackendCall, BackendFailure, type CallBackend } from '../gateway/backend-port';
import { type BackendAddress, ConnectionPool } from './connection-pool';
import { OutgoingCall, StaleConnection } from './outgoing-call';
import { requestPrefix, requestText } from './request-text';

export type { BackendAddress } from './connection-pool';

/** Calls backends over HTTP, each on its own pool of kept connections. */
export function httpBackends(addresses: Readonly<Record<string, BackendAddress>>): CallBackend {
  const backends = new Map(Object.entries(addresses).map(([name, address]) => [name, new HttpBackend(address)]));
  return (call) => {
    const backend = backends.get(call.backend.name);
    if (!backend) return Promise.reject(new BackendFailure('connect', `no address is known for ${call.backend.name}`));
    return backend.call(call);
  };
}

class HttpBackend {
  private readonly base: URL;
  private readonly pool: ConnectionPool;
  /** How the requests to a path begin: addresses are parsed once and not for each call. */
  private readonly prefixes = new Map<string, string>();

  constructor(address: BackendAddress) {
    const { url } = address;
    this.base = new URL(url.endsWith('/') ? url : `${url}/`);
    this.pool = new ConnectionPool(address, this.base);
  }

  public async call(call: BackendCall): Promise<BackendAnswer> {
    const request = requestText(this.prefixOf(call.path), call.headers, call.body);
    try {
      return await OutgoingCall.make(call, this.pool.take({ fresh: false }), request);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      // Where one kept connection was closed, the others may be too: this one is new.
      return OutgoingCall.make(call, this.pool.take({ fresh: true }), request);
    }
  }

  private prefixOf(path: string): string {
    const known = this.prefixes.get(path);
    if (known !== undefined) return known;
    const prefix = requestPrefix(new URL(path.replace(/^\//, ''), this.base));
    this.prefixes.set(path, prefix);
    return prefix;
  }
}
