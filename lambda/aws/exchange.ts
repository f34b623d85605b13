import { addressOf, signedHeaders } from '../security/signed-request';
import { refusal, unanswered } from './aws-error';
import { withRetries } from './retries';
import type { AwsService } from './service';

/** One call of an AWS service, as it is sent. */
export interface Exchange<T> {
  /** For errors. */
  readonly operation: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Where it goes, where that is not the service's own origin. */
  readonly origin?: URL;
  /** With its parts escaped. @default `/` */
  readonly path?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Whether the same is reached where the call is carried out twice. */
  readonly isRepeatable: boolean;
  /** Above what the service allows, for a call that waits. @default 0 */
  readonly extraMs?: number;
  /** Ends the call. */
  readonly signal?: AbortSignal;
  /** Reads an answer of status 2xx; the call's time runs until it has. */
  readonly read: (answer: Response) => Promise<T>;
}

/**
 * Signs and sends a call, again where it may be sent again, each try in the service's time.
 *
 * @throws AwsError where it is refused or not answered
 */
export function exchange<T>(service: AwsService, call: Exchange<T>): Promise<T> {
  return withRetries(() => tryOnce(service, call), call.isRepeatable, service);
}

async function tryOnce<T>(
  { name, origin: home, region, credentials, now, timeoutMs }: AwsService,
  {
    operation,
    method,
    origin = home,
    path = '/',
    query,
    headers: own = {},
    body,
    extraMs = 0,
    signal,
    read,
  }: Exchange<T>,
): Promise<T> {
  const headers = await signedHeaders(
    { method, origin, path, headers: own, ...(query && { query }), ...(body !== undefined && { body }) },
    { service: name, region, credentials: credentials(), now: now() },
  );
  const ending = new AbortController();
  const limitMs = timeoutMs + extraMs;
  const timer = setTimeout(
    () => ending.abort(new DOMException(`timeout after ${limitMs} ms`, 'TimeoutError')),
    limitMs,
  );
  const giveUp = () => ending.abort(signal?.reason);
  if (signal?.aborted) giveUp();
  signal?.addEventListener('abort', giveUp);
  try {
    const answer = await heard(
      operation,
      fetch(addressOf(origin, path, query), {
        ...{ method, headers, signal: ending.signal },
        ...(body !== undefined && { body: body as string | Uint8Array<ArrayBuffer> }),
        // What is signed for one address is refused by any other.
        redirect: 'manual',
      }),
    );
    if (!answer.ok) throw refusal(operation, answer.status, await heard(operation, answer.text()));
    return await heard(operation, read(answer));
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}

/** What `fetch` throws: no connection, one that broke, and an end that was set. */
const ON_THE_WAY: ReadonlySet<string> = new Set(['TypeError', 'AbortError', 'TimeoutError']);

/** What fails on the way is an answer that was not heard; what the reader finds wrong is an error of its own. */
async function heard<T>(operation: string, part: Promise<T>): Promise<T> {
  try {
    return await part;
  } catch (error) {
    throw ON_THE_WAY.has((error as Error).name) ? unanswered(operation, error) : error;
  }
}
