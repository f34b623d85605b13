import { ApiError } from './api-error';
import { isNestedDeeperThan, MAX_LEVELS } from './nesting';

/** The parts of API Gateway's REST proxy event that the gateway reads. */
export interface HttpEvent {
  readonly httpMethod: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>> | null;
  readonly body: string | null;
  readonly isBase64Encoded: boolean;
  readonly requestContext: {
    readonly requestId?: string;
    /** What the authorizer found out about the caller. */
    readonly authorizer?: {
      readonly tenant?: string;
      readonly plan?: string;
      /** When the caller's token expires, in milliseconds since 1970; none for a key. */
      readonly expiresAt?: string;
      /** Stands for who holds the token, in logs. */
      readonly principal?: string;
    } | null;
  };
}

/** Lambda takes payloads of at most 6 MB. */
const MAX_BODY_BYTES = 6 * 1024 * 1024;

/** A header's value; header names have no case. */
export function headerOf(event: HttpEvent, name: string): string | undefined {
  const headers = event.headers ?? {};
  for (const header of Object.keys(headers)) {
    // Almost none has the right length, and to compare lengths costs nothing.
    if (header.length === name.length && header.toLowerCase() === name) return headers[header];
  }
  return undefined;
}

/**
 * The body as a JSON object.
 *
 * @throws ApiError for a body that is too large, is no JSON, is no object or is nested too deeply
 */
export function jsonBodyOf(event: HttpEvent): Record<string, unknown> {
  const text = event.isBase64Encoded ? Buffer.from(event.body ?? '', 'base64').toString('utf8') : (event.body ?? '');
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BODY_BYTES) throw ApiError.tooLarge(bytes, MAX_BODY_BYTES);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw ApiError.invalidRequest('We could not parse the JSON body of your request.');
  }
  if (!isRecord(body)) throw ApiError.invalidRequest('The body of your request must be a JSON object.');
  if (isNestedDeeperThan(MAX_LEVELS, body)) {
    throw ApiError.invalidRequest(`The body of your request is nested on more than ${MAX_LEVELS} levels.`);
  }
  return body;
}

/** Whether a value is an object with named fields. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
