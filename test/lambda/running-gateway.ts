import { randomUUID } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { ResolvedPolicy } from '../../lib/policy/defaults';
import { httpBackends } from '../../lambda/backends/http-backends';
import { LocalStore } from '../../lambda/fault-tolerance/local-store';
import type { StateChange } from '../../lambda/circuit-breaking/state-change';
import type { CallBackend } from '../../lambda/gateway/backend-port';
import { clientConnection } from '../../lambda/gateway/client-connection';
import { Gateway } from '../../lambda/gateway/gateway';
import type { HttpEvent } from '../../lambda/gateway/http-event';
import type { Priority } from '../../lambda/gateway/priority';
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
  /** Breakers that were announced as changed. */
  readonly changes: readonly StateChange[];
}

/** A gateway on a store and real HTTP backends, which are given by their addresses or by what calls them. */
export class RunningGateway {
  private readonly connection: StoreConnection;
  private readonly gateway: Gateway;
  private readonly records: RequestRecord[] = [];
  private trips: (readonly Command[])[] = [];
  private changes: StateChange[] = [];

  constructor(
    storeUrl: string,
    policy: ResolvedPolicy,
    backends: Readonly<Record<string, { url: string }>> | CallBackend,
    semantic?: SemanticPorts,
  ) {
    this.connection = new StoreConnection({
      url: storeUrl,
      timeoutMs: 5000,
      connectTimeoutMs: 5000,
      onError: () => undefined,
    });
    this.gateway = new Gateway({
      policy,
      store: new ValkeyStore(
        (commands) => {
          this.trips.push(commands);
          return this.connection.trip(commands);
        },
        Math.random,
        policy.cache,
      ),
      localStore: new LocalStore(Date.now, Math.random),
      callBackend: typeof backends === 'function' ? backends : httpBackends(backends),
      ...(semantic && { semantic }),
      record: (record) => this.records.push(record),
      announce: (changes) => {
        this.changes.push(...changes);
        return Promise.resolve();
      },
      now: Date.now,
      random: () => 0.1,
      pause: (ms) => pause(ms),
      timer: (ms, callback) => {
        const timer = setTimeout(callback, ms);
        return () => {
          clearTimeout(timer);
        };
      },
      newId: randomUUID,
    });
  }

  /**
   * Sends a request; `onBody` sees the answer as it comes and may hang up, `onSent` and `onStart` get to hang up at any
   * time.
   */
  public async send(
    body: unknown,
    options: {
      path?: string;
      method?: string;
      headers?: Record<string, string>;
      tenant?: string;
      plan?: string;
      expiresAt?: string;
      principal?: string;
      priority?: Priority;
      onBody?: (text: string, hangUp: () => void) => void;
      hangUpAfterMs?: number;
      onSent?: (hangUp: () => void) => void;
      onStart?: (hangUp: () => void) => void;
      /** Hangs up as soon as this settles. */
      hangUp?: Promise<void>;
    } = {},
  ): Promise<Received> {
    this.trips = [];
    this.changes = [];
    const stream = new PassThrough();
    let [status, headers, text] = [0, {} as Readonly<Record<string, string>>, ''];
    stream.on('data', (part: Buffer) => {
      text += part.toString();
      options.onBody?.(text, () => stream.destroy());
    });
    options.onStart?.(() => stream.destroy());
    void options.hangUp?.then(() => stream.destroy());
    const client = clientConnection(stream, (code, sent) => {
      [status, headers] = [code, sent];
      return stream;
    });
    const { tenant = 'acme', plan = 'standard', expiresAt, principal } = options;
    const request: HttpEvent = {
      httpMethod: options.method ?? 'POST',
      path: options.path ?? '/v1/chat/completions',
      headers: options.headers ?? {},
      body: typeof body === 'string' ? body : JSON.stringify(body),
      isBase64Encoded: false,
      requestContext: { requestId: 'request-1', authorizer: { tenant, plan, expiresAt, principal } },
    };
    if (options.hangUpAfterMs !== undefined) setTimeout(() => stream.destroy(), options.hangUpAfterMs);
    options.onSent?.(() => stream.destroy());
    await this.gateway.serve(request, client, options.priority);
    return { status, headers, text, record: this.records.at(-1)!, trips: this.trips, changes: this.changes };
  }

  public close(): void {
    this.connection.close();
  }
}
