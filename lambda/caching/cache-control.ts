/** What the `cache-control` header of a request allows (RFC 9111, section 5.2.1); of an answer, `noStore` alone is heeded. */
export interface CacheControl {
  /** Do not answer from the cache. The new answer may be stored. */
  readonly noCache: boolean;
  /** Do not store the answer. */
  readonly noStore: boolean;
  /** Answer from the cache or not at all. */
  readonly onlyIfCached: boolean;
  /** The oldest answer that will do, in milliseconds. */
  readonly maxAgeMs?: number;
}

/** Of a request that says nothing about it, as nearly all do. */
const NO_WISHES: CacheControl = { noCache: false, noStore: false, onlyIfCached: false };

/** Reads the header; unknown directives are passed over, as the RFC asks. */
export function parseCacheControl(header: string | undefined): CacheControl {
  if (header === undefined) return NO_WISHES;
  const directives = new Map(
    header.split(',').map((directive): [string, string] => {
      const [name = '', value = ''] = directive.split('=', 2);
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')];
    }),
  );
  const maxAge = directives.get('max-age');
  return {
    noCache: directives.has('no-cache'),
    noStore: directives.has('no-store'),
    onlyIfCached: directives.has('only-if-cached'),
    ...(maxAge !== undefined && /^\d{1,10}$/.test(maxAge) && { maxAgeMs: Number(maxAge) * 1000 }),
  };
}
