import { hash } from 'node:crypto';
import { canonicalJson } from '../caching/cache-key';
import { ApiError } from '../gateway/api-error';
import type { BatchBooks, Once, UsedBefore } from './books';

/**
 * Reads the `idempotency-key` header of a request that makes something.
 *
 * @param request what tells it from others
 * @throws ApiError for a key that is none
 */
export function onceOf(header: string | undefined, request: Readonly<Record<string, unknown>>): Once | undefined {
  if (header === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,255}$/.test(header)) {
    throw ApiError.invalidRequest('The header idempotency-key must have 1 to 255 visible ASCII characters.');
  }
  return { key: hash('sha256', header), digest: hash('sha256', canonicalJson(request)) };
}

/**
 * The id of what the same request has made before, if it has.
 *
 * @throws ApiError 409 where its key was used for another request
 */
export async function madeBefore(
  books: Pick<BatchBooks, 'usedFor'>,
  tenant: string,
  once: Once | undefined,
): Promise<string | undefined> {
  const used = once && (await books.usedFor(tenant, once.key));
  return used && sameRequest(used, once);
}

/**
 * The id of what a request under the same key has made.
 *
 * @throws ApiError 409 where that was another request
 */
export function sameRequest(used: UsedBefore, once: Once | undefined): string {
  if (used.digest !== once?.digest) throw ApiError.keyReused();
  return used.id;
}
