import fc from 'fast-check';
import { type Feature, FeatureType } from '../../../../lib';
import { type FeatureValue, type HistoryRow, ingestIdOf } from '../../../../lambda/data-pipeline/features/history';
import type { Label } from '../../../../lambda/data-pipeline/features/as-of-join';

/** Features of every type, short- and long-lived, with and without a default. */
export const FEATURES: Feature[] = [
  { name: 'spend', entity: 'customer', type: FeatureType.NUMBER, ttlSeconds: 2, sourceVersion: 'v2', default: -1.5 },
  { name: 'orders', entity: 'customer', type: FeatureType.INTEGER, ttlSeconds: 5, sourceVersion: 'v2', default: 0 },
  {
    name: 'tier',
    entity: 'customer',
    type: FeatureType.TEXT,
    ttlSeconds: 1,
    sourceVersion: 'v2',
    default: "it's none",
  },
  { name: 'active', entity: 'customer', type: FeatureType.BOOLEAN, ttlSeconds: 1000, sourceVersion: 'v1' },
];

const VALUES: Record<FeatureType, fc.Arbitrary<FeatureValue>> = {
  [FeatureType.BOOLEAN]: fc.boolean(),
  [FeatureType.INTEGER]: fc.maxSafeInteger(),
  [FeatureType.NUMBER]: fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }).map((x) => x + 0),
  [FeatureType.TEXT]: fc.string({ maxLength: 6, unit: 'grapheme-ascii' }),
};

/** So few instants that events coincide, arrive late and out of order, and sit on the edge of their time to live. */
const instant = fc.integer({ min: 0, max: 16 }).map((step) => 1_000_000 + step * 500);
const key = fc.constantFrom('a', 'b');

/** A history of two entities, in any order, each record with a unique arrival; events of the future among them. */
export const history: fc.Arbitrary<HistoryRow[]> = fc
  .array(
    fc.record({
      key,
      eventMs: instant,
      ingestedMs: instant,
      batch: fc.constantFrom('x', 'y'),
      sourceVersion: fc.constantFrom('v1', 'v2', 'v2'),
      values: fc.record(
        Object.fromEntries(FEATURES.map(({ name, type }) => [name, fc.option(VALUES[type], { freq: 4 })])),
        { requiredKeys: [] },
      ),
    }),
    { maxLength: 25 },
  )
  .map((rows) => rows.map(({ batch, ...row }, i) => ({ ...row, ingestId: ingestIdOf(row.ingestedMs, batch, i) })));

/** Labels on the same instants, and between them, of entities that have a history and of one that has none. */
export const labels: fc.Arbitrary<Label[]> = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b', 'unknown'),
    atMs: fc.tuple(instant, fc.constantFrom(0, 1, 250)).map(([at, offset]) => at + offset),
  }),
  { maxLength: 12 },
);
