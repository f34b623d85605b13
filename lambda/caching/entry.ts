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
  /** An entry younger than this answers at once while one request computes it anew; 0 where none may. */
  readonly softMs: number;
  /** Whether to wait for an identical request that is being computed. */
  readonly waits: boolean;
  /** Whether identical requests may wait for this one. */
  readonly leads: boolean;
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
  const agesAllowed = !wishes.noCache && wishes.maxAgeMs === undefined;
  return {
    key,
    freshMs: wishes.noCache ? 0 : Math.min(ttlMs, wishes.maxAgeMs ?? ttlMs),
    softMs:
      agesAllowed && !wishes.noStore && settings.revalidateSeconds > 0 ? ttlMs + settings.revalidateSeconds * 1000 : 0,
    waits: settings.singleFlight && !wishes.noCache && !wishes.onlyIfCached,
    leads: settings.singleFlight && !wishes.noStore,
    staleAllowed: agesAllowed && settings.staleSeconds > 0,
    ...(!wishes.noStore && { retainMs: ttlMs + settings.staleSeconds * 1000 }),
    onlyIfCached: wishes.onlyIfCached,
  };
}
