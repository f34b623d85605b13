import { hash } from 'node:crypto';
import { CacheScope, type Model } from '../../lib/policy/model';

/** Who shares an entry: one tenant, or all who may use a model that says so. */
export type KeyScope = { readonly tenant: string } | { readonly shared: string };

/** Fields that do not change an answer: who asks, what the caller notes down, and where it may be kept. */
const INSIGNIFICANT = new Set([
  'user',
  'metadata',
  'store',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  // Part of the subject in its own right.
  'stream',
]);

/**
 * Values that say the same as a field left out: what OpenAI's API defines and every server obeys. Sampling parameters are
 * not among them: a server may have defaults of its own for those, as vLLM takes a model's `generation_config`.
 */
const DEFAULTS: Readonly<Record<string, unknown>> = { n: 1, logprobs: false };

/** The calls whose fields are known. The body of any other has a meaning of its own, and all of it is significant. */
const KNOWN_CALLS = new Set(['chat', 'completions', 'embeddings']);

/** Counts up when the entries' form changes, so that no function reads what another version wrote. */
const VERSION = 2;

/** What makes two requests the same. */
export interface CacheSubject {
  readonly scope: KeyScope;
  readonly endpoint: string;
  readonly stream: boolean;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Who shares the answers of a model to a tenant: the tenant alone, unless the model says otherwise. */
export function keyScope(tenant: string, { name, cacheScope }: Pick<Model, 'name' | 'cacheScope'>): KeyScope {
  return cacheScope === CacheScope.SHARED ? { shared: name } : { tenant };
}

/**
 * The store's key of a request's answer. The scope is part of it twice: in the clear, which keeps a tenant's keys in one
 * slot, and inside the hash. The order of JSON keys does not matter; streamed and whole answers are kept apart.
 */
export function cacheKey(subject: CacheSubject): string {
  return `${scopePrefix(subject.scope)}:cache:${digestOf(subject)}`;
}

/** SHA-256 of what makes two requests the same, and of whatever else is to tell them apart. */
export function digestOf({ scope, endpoint, stream, body }: CacheSubject, others: readonly string[] = []): string {
  const json = KNOWN_CALLS.has(endpoint) ? significantJson(body) : canonicalJson(body);
  const subject =
    `{"body":${json},"endpoint":${JSON.stringify(endpoint)},"others":${JSON.stringify(others)},` +
    `"scope":${JSON.stringify(scope)},"stream":${stream},"version":${VERSION}}`;
  return hash('sha256', subject);
}

/** Start of every key of a scope, in braces, which keep its keys in one slot. No name of a tenant or model holds any. */
export function scopePrefix(scope: KeyScope): string {
  return 'tenant' in scope ? `{${scope.tenant}}` : `{shared:${scope.shared}}`;
}

/** JSON with the keys of every object in one order. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (!Array.isArray(value)) return canonicalObject(value as Readonly<Record<string, unknown>>);
  let json = '';
  for (const item of value) json += `${json === '' ? '[' : ','}${canonicalJson(item)}`;
  return json === '' ? '[]' : `${json}]`;
}

function significantJson(body: Readonly<Record<string, unknown>>): string {
  return canonicalObject(body, (field) => {
    const value = body[field];
    return (
      !INSIGNIFICANT.has(field) && value !== null && !(Object.hasOwn(DEFAULTS, field) && value === DEFAULTS[field])
    );
  });
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
