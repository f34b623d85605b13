import type { Caller } from '../gateway/caller';
import type { HttpEvent } from '../gateway/http-event';
import type { Query } from './page-query';

/** What API Gateway hands to the function: its event, with the query. */
export interface ApiEvent extends HttpEvent {
  readonly queryStringParameters?: Query;
}

/** A request of a tenant. */
export interface ApiRequest {
  readonly event: ApiEvent;
  readonly caller: Caller;
}

/** What a request is answered with. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, or as the bytes that it is. */
  readonly body?: object | Buffer;
}

/** A request that was carried out. */
export function ok(body: object): ApiAnswer {
  return { status: 200, body };
}
