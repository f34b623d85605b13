import { describe, expect, it } from '@jest/globals';
import { parseCacheControl } from '../../../lambda/caching/cache-control';
import { cacheUse } from '../../../lambda/caching/entry';
import { resolveCache } from '../../../lib/policy/defaults';

const settings = resolveCache({ ttlSeconds: 60, staleSeconds: 600 });
const use = (header?: string) => cacheUse('k', settings, parseCacheControl(header));

describe('a request’s wishes for the cache', () => {
  it('follow the policy where there are none, and pass over the unknown', () => {
    expect(use()).toEqual({
      ...{ key: 'k', freshMs: 60_000, softMs: 0, staleAllowed: true, retainMs: 660_000, onlyIfCached: false },
      ...{ waits: true, leads: true },
    });
    expect(use('max-age=x, immutable')).toEqual(use());
  });

  it('no-cache computes anew and stores; no-store reads and does not store', () => {
    expect(use('No-Cache')).toMatchObject({ freshMs: 0, staleAllowed: false, retainMs: 660_000 });
    expect(use('no-store')).toMatchObject({ freshMs: 60_000, staleAllowed: true, leads: false });
    expect(use('no-store')).not.toHaveProperty('retainMs');
    expect(use('no-cache').waits).toBe(false);
  });

  it('are served past their time while one computes anew, unless they ask for a younger one or none', () => {
    const soft = resolveCache({ ttlSeconds: 60, staleSeconds: 600, revalidateSeconds: 30 });
    const softMs = (header?: string) => cacheUse('k', soft, parseCacheControl(header)).softMs;
    expect([softMs(), softMs('no-cache'), softMs('max-age=90'), softMs('no-store')]).toEqual([90_000, 0, 0, 0]);
  });

  it('max-age asks for younger answers than the policy’s, never for older ones', () => {
    expect(use('max-age="5", only-if-cached')).toMatchObject({
      freshMs: 5000,
      staleAllowed: false,
      onlyIfCached: true,
    });
    expect(use('max-age=9999').freshMs).toBe(60_000);
  });
});
