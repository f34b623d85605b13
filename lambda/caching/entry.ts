import { resolveCache, type ResolvedCache } from '../../lib/policy/defaults';
import { type CacheControl } from './cache-control';

/** An answer as it is kept: the bytes that the client received, and where they came from. */
export interface CacheEntry {
  readonly contentType: string;
  /** Backend that computed it. */
  readonly servedBy: string;
  readonly body: string;
}

/** An entry that was found, with its age. */
export interface StoredEntry extends CacheEntry {
  readonly ageMs: number;
}

/** The largest answer that is kept, in bytes: by the cache, or, also without one, under an idempotency key. */
export function mostEntryBytes(settings: ResolvedCache | undefined): number {
  return (settings ?? resolveCache({})).maxEntryBytes;
}

/** How one request uses the cache. */
export interface CacheUse {
  readonly key: string;
  /** An entry younger than this answers; 0 where none may. */
  readonly freshMs: number;
  /** Whether an entry past its time may answer when no backend can. */
  readonly staleAllowed: boolean;
  /** How long the new answer is kept; undefined where it must not be stored. */
  readonly retainMs?: number;
  /** Whether only a stored answer will do. */
  readonly onlyIfCached: boolean;
}

/** Settles between the policy and the request's own wishes. */
export function cacheUse(key: string, settings: ResolvedCache, wishes: CacheControl): CacheUse {
  const ttlMs = settings.ttlSeconds * 1000;
  return {
    key,
    freshMs: wishes.noCache ? 0 : Math.min(ttlMs, wishes.maxAgeMs ?? ttlMs),
    staleAllowed: !wishes.noCache && wishes.maxAgeMs === undefined && settings.staleSeconds > 0,
    ...(!wishes.noStore && { retainMs: ttlMs + settings.staleSeconds * 1000 }),
    onlyIfCached: wishes.onlyIfCached,
  };
}
