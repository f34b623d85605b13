import { randomUUID } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { ResolvedPolicy } from '../../lib/policy/defaults';
import { httpBackends } from '../../lambda/backends/http-backends';
import { LocalStore } from '../../lambda/fault-tolerance/local-store';
import { clientConnection } from '../../lambda/gateway/client-connection';
import { Gateway } from '../../lambda/gateway/gateway';
import type { HttpEvent } from '../../lambda/gateway/http-event';
import type { SemanticPorts } from '../../lambda/gateway/semantic-step';
import type { RequestRecord } from '../../lambda/observability/request-record';
import { type Command, StoreConnection } from '../../lambda/store/connection';
import { ValkeyStore } from '../../lambda/store/valkey-store';

/** What a client received. */
export interface Received {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly record: RequestRecord;
  /** Commands of each trip to the store. */
  readonly trips: readonly (readonly Command[])[];
}

/** A gateway on a store and real HTTP backends. */
export class RunningGateway {
  private readonly connection: StoreConnection;
  private readonly gateway: Gateway;
  private readonly records: RequestRecord[] = [];
  private trips: (readonly Command[])[] = [];

  constructor(
    storeUrl: string,
    policy: ResolvedPolicy,
    backends: Readonly<Record<string, { url: string }>>,
    semantic?: SemanticPorts,
  ) {
    this.connection = new StoreConnection({
      url: storeUrl,
      timeoutMs: 1000,
      connectTimeoutMs: 1000,
      onError: () => undefined,
    });
    this.gateway = new Gateway({
      policy,
      store: new ValkeyStore((commands) => {
        this.trips.push(commands);
        return this.connection.trip(commands);
      }, policy.cache),
      localStore: new LocalStore(Date.now),
      callBackend: httpBackends(backends),
      ...(semantic && { semantic }),
      record: (record) => this.records.push(record),
      now: Date.now,
      random: () => 0.1,
      pause: (ms) => pause(ms),
      newId: randomUUID,
    });
  }

  /** Sends a request; `onBody` sees the answer as it comes and may hang up. */
  public async send(
    body: unknown,
    options: {
      path?: string;
      method?: string;
      headers?: Record<string, string>;
      tenant?: string;
      plan?: string;
      onBody?: (text: string, hangUp: () => void) => void;
      /** Hangs up as soon as this settles. */
      hangUp?: Promise<void>;
    } = {},
  ): Promise<Received> {
    this.trips = [];
    const stream = new PassThrough();
    let [status, headers, text] = [0, {} as Readonly<Record<string, string>>, ''];
    stream.on('data', (part: Buffer) => {
      text += part.toString();
      options.onBody?.(text, () => stream.destroy());
    });
    void options.hangUp?.then(() => stream.destroy());
    const client = clientConnection(stream, (code, sent) => {
      [status, headers] = [code, sent];
      return stream;
    });
    const { tenant = 'acme', plan = 'standard' } = options;
    const request: HttpEvent = {
      httpMethod: options.method ?? 'POST',
      path: options.path ?? '/v1/chat/completions',
      headers: options.headers ?? {},
      body: typeof body === 'string' ? body : JSON.stringify(body),
      isBase64Encoded: false,
      requestContext: { requestId: 'request-1', authorizer: { tenant, plan } },
    };
    await this.gateway.serve(request, client);
    return { status, headers, text, record: this.records.at(-1)!, trips: this.trips };
  }

  public close(): void {
    this.connection.close();
  }
}
