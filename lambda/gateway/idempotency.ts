import { hash } from 'node:crypto';
import { canonicalJson } from '../caching/cache-key';
import { ApiError } from './api-error';

/** A request that is to be computed once, however often it is sent. */
export interface Idempotency {
  /** The store's key. */
  readonly key: string;
  /** Tells one request from another under the same key. */
  readonly digest: string;
}

/** A day, in milliseconds: longer than any client tries again. */
export const KEPT_MS = 86_400_000;

/**
 * Reads the `idempotency-key` header.
 *
 * @throws ApiError 400 for a key that is none
 */
export function idempotencyOf(
  header: string | undefined,
  subject: { readonly tenant: string; readonly endpoint: string; readonly body: Readonly<Record<string, unknown>> },
): Idempotency | undefined {
  if (header === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,255}$/.test(header)) {
    throw ApiError.invalidRequest('The header idempotency-key must have 1 to 255 visible ASCII characters.');
  }
  const { tenant, endpoint, body } = subject;
  return { key: `{${tenant}}:once:${sha256(header)}`, digest: sha256(canonicalJson({ endpoint, body })) };
}

function sha256(text: string): string {
  return hash('sha256', text);
}
