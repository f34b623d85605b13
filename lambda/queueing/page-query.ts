import { ApiError } from '../gateway/api-error';
import type { Page } from './books';
import { type IdKind, isId } from './ids';

/** The query of a request. */
export type Query = Readonly<Record<string, string | undefined>> | null | undefined;

/** A part of a list in OpenAI's shape. */
export interface ListObject<T> {
  readonly object: 'list';
  readonly data: readonly T[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
}

/**
 * Which part of a list a request asks for.
 *
 * @throws ApiError for what is no part of a list
 */
export function pageOf(query: Query, kind: IdKind, limits: { readonly most: number; readonly usual: number }): Page {
  const { limit, after, order } = query ?? {};
  const entries = limit === undefined ? limits.usual : Number(limit);
  if (!Number.isSafeInteger(entries) || entries < 1 || entries > limits.most) {
    throw ApiError.invalidRequest(`limit must be a whole number from 1 to ${limits.most}.`, 'limit');
  }
  if (after !== undefined && !isId(kind, after)) {
    throw ApiError.invalidRequest(`after must be the id of a ${kind}, as the list gives it.`, 'after');
  }
  if (order !== undefined && order !== 'asc' && order !== 'desc') {
    throw ApiError.invalidRequest('order must be asc or desc.', 'order');
  }
  return { limit: entries, newestFirst: order !== 'asc', ...(after !== undefined && { after }) };
}

/** A part of a list, of those entries that are to be shown. */
export async function listed<T extends { readonly id: string }, Shown extends { readonly id: string }>(
  page: Page,
  read: (page: Page) => Promise<readonly T[]>,
  isShown: (entry: T) => boolean,
  show: (entry: T) => Promise<Shown>,
): Promise<ListObject<Shown>> {
  const found: T[] = [];
  // One more than is shown tells whether there are more.
  const wanted = page.limit + 1;
  let next: Page | undefined = { ...page, limit: wanted };
  while (next && found.length < wanted) {
    const entries: readonly T[] = await read(next);
    found.push(...entries.filter(isShown));
    const last = entries.at(-1);
    next = last && entries.length === wanted ? { ...next, after: last.id } : undefined;
  }
  const data = await Promise.all(found.slice(0, page.limit).map(show));
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: found.length > page.limit,
  };
}
