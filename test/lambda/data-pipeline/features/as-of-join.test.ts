import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Feature, FeatureType, LateArrivals } from '../../../../lib';
import { type JoinOptions, joinAsOf, type Label } from '../../../../lambda/data-pipeline/features/as-of-join';
import type { HistoryRow } from '../../../../lambda/data-pipeline/features/history';
import type { Reading } from '../../../../lambda/data-pipeline/features/reading';
import { FEATURES, history, labels } from './random-history';

/** What the words of the documentation say, candidate by candidate, with no regard to time or taste. */
function bruteForce(
  feature: Feature,
  rows: readonly HistoryRow[],
  { key, atMs }: Label,
  { lateArrivals, readAtMs }: JoinOptions,
): Reading {
  const candidates = rows.filter(
    (row) =>
      row.key === key &&
      row.values[feature.name] != null &&
      row.sourceVersion === feature.sourceVersion &&
      row.eventMs <= atMs &&
      (lateArrivals === LateArrivals.INCLUDE || row.ingestedMs <= atMs) &&
      (readAtMs === undefined || row.ingestedMs <= readAtMs),
  );
  const latest = Math.max(...candidates.map(({ eventMs }) => eventMs));
  const [newest] = candidates
    .filter(({ eventMs }) => eventMs === latest)
    .sort((one, other) => (one.ingestId > other.ingestId ? -1 : 1));
  const fallback = feature.default ?? null;
  if (!newest) return { value: fallback, status: 'missing' };
  const ageMs = atMs - newest.eventMs;
  return ageMs > feature.ttlSeconds * 1000
    ? { value: fallback, status: 'stale', ageMs }
    : { value: newest.values[feature.name]!, status: 'fresh', ageMs };
}

const options: fc.Arbitrary<JoinOptions> = fc.record(
  {
    lateArrivals: fc.constantFrom(...Object.values(LateArrivals)),
    readAtMs: fc.integer({ min: 1_000_000, max: 1_008_000 }),
  },
  { requiredKeys: [] },
);

describe('a point-in-time correct join', () => {
  it('is what a search through all of the history finds, on random histories', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(history, labels, options, (rows, wanted, chosen) => {
        const joined = joinAsOf(FEATURES, rows, wanted, chosen);
        const expected = wanted.map((label) =>
          Object.fromEntries(FEATURES.map((each) => [each.name, bruteForce(each, rows, label, chosen)])),
        );
        for (const row of joined) for (const { status } of Object.values(row)) seen.add(status);
        expect(joined).toEqual(expected);
      }),
      { numRuns: Number(process.env.JOIN_RUNS ?? 2000) },
    );
    expect([...seen].sort()).toEqual(['fresh', 'missing', 'stale']);
  });

  it('does not depend on the order in which the history is read', () => {
    fc.assert(
      fc.property(history, labels, fc.infiniteStream(fc.double({ noNaN: true })), (rows, wanted, random) => {
        const shuffled = rows
          .map((row) => ({ row, at: random.next().value as number }))
          .sort((one, other) => one.at - other.at)
          .map(({ row }) => row);
        expect(joinAsOf(FEATURES, shuffled, wanted)).toEqual(joinAsOf(FEATURES, rows, wanted));
      }),
      { numRuns: 300 },
    );
  });

  const [spend] = FEATURES;
  const told = (eventMs: number, ingestedMs: number, value: number, id: string): HistoryRow => ({
    ...{ key: 'a', eventMs, ingestedMs, ingestId: id, sourceVersion: 'v2' },
    values: { spend: value },
  });
  const read = (rows: HistoryRow[], atMs: number, chosen?: JoinOptions) =>
    joinAsOf([spend!], rows, [{ key: 'a', atMs }], chosen)[0]!.spend;

  it('holds a value to the last millisecond of its time to live', () => {
    const rows = [told(1000, 1000, 7, '1')];
    expect(read(rows, 3000)).toEqual({ value: 7, status: 'fresh', ageMs: 2000 });
    expect(read(rows, 3001)).toEqual({ value: -1.5, status: 'stale', ageMs: 2001 });
    expect(read(rows, 999)).toEqual({ value: -1.5, status: 'missing' });
  });

  it('leaves out what came in later, unless late arrivals are wanted', () => {
    const rows = [told(1000, 1000, 7, '1'), told(1500, 2500, 8, '2')];
    expect(read(rows, 2000)?.value).toBe(7);
    expect(read(rows, 2500)?.value).toBe(8);
    expect(read(rows, 2000, { lateArrivals: LateArrivals.INCLUDE })?.value).toBe(8);
    expect(read(rows, 2600, { readAtMs: 2400 })?.value).toBe(7);
  });

  it('lets the later arrival win between events of one time', () => {
    expect(read([told(1000, 1200, 8, '2'), told(1000, 1100, 7, '1')], 2000)?.value).toBe(8);
  });

  it('takes what an object inherits for no value', () => {
    const inherited: Feature = { ...spend!, name: 'constructor', type: FeatureType.TEXT, default: 'none' };
    const joined = joinAsOf([inherited], [told(1000, 1000, 7, '1')], [{ key: 'a', atMs: 1000 }]);
    expect(joined[0]!.constructor).toEqual({ value: 'none', status: 'missing' });
  });
});
