import { createHash } from 'node:crypto';

/** Fields that do not change an answer: who asks, what the caller notes down, and where it may be kept. */
const INSIGNIFICANT = new Set([
  'user',
  'metadata',
  'store',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
]);

/** Counts up when the entries' form changes, so that no function reads what another version wrote. */
const VERSION = 1;

/** What makes two requests the same. */
export interface CacheSubject {
  readonly tenant: string;
  readonly endpoint: string;
  readonly stream: boolean;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * The store's key of a request's answer. The tenant is part of it twice: in the clear, which keeps a tenant's keys in
 * one slot, and inside the hash. The order of JSON keys does not matter; streamed and whole answers are kept apart.
 */
export function cacheKey({ tenant, endpoint, stream, body }: CacheSubject): string {
  const significant = Object.entries(body).filter(
    ([field, value]) => !INSIGNIFICANT.has(field) && field !== 'stream' && value !== null && value !== undefined,
  );
  const subject = { version: VERSION, tenant, endpoint, stream, body: Object.fromEntries(significant) };
  return `{${tenant}}:cache:${createHash('sha256').update(canonicalJson(subject)).digest('hex')}`;
}

/** JSON with the keys of every object in one order. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
  return `{${fields.join(',')}}`;
}
