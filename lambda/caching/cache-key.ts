import { hash } from 'node:crypto';

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
  const significant = canonicalObject(
    body,
    (field) => !INSIGNIFICANT.has(field) && field !== 'stream' && body[field] !== null,
  );
  const subject =
    `{"body":${significant},"endpoint":${JSON.stringify(endpoint)},"stream":${stream},` +
    `"tenant":${JSON.stringify(tenant)},"version":${VERSION}}`;
  return `{${tenant}}:cache:${hash('sha256', subject)}`;
}

/** JSON with the keys of every object in one order. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (!Array.isArray(value)) return canonicalObject(value as Readonly<Record<string, unknown>>);
  let json = '';
  for (const item of value) json += `${json === '' ? '[' : ','}${canonicalJson(item)}`;
  return json === '' ? '[]' : `${json}]`;
}

/** Written piece by piece, since every request of a tenant passes here. */
function canonicalObject(
  value: Readonly<Record<string, unknown>>,
  isSignificant: (field: string) => boolean = () => true,
): string {
  let json = '';
  for (const name of Object.keys(value).sort()) {
    const field = value[name];
    if (field === undefined || !isSignificant(name)) continue;
    json += `${json === '' ? '{' : ','}${JSON.stringify(name)}:${canonicalJson(field)}`;
  }
  return json === '' ? '{}' : `${json}}`;
}
