import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Feature, type FeatureDefinition, FeatureType } from '../../../../lib';
import { joinAsOf } from '../../../../lambda/data-pipeline/features/as-of-join';
import type { HistoryRow } from '../../../../lambda/data-pipeline/features/history';
import { mergedRow, type OnlineRow, onlineRowOf } from '../../../../lambda/data-pipeline/features/online-store';
import { takeRecord } from '../../../../lambda/data-pipeline/features/record';
import { type ServedFeature, serveFeatures } from '../../../../lambda/data-pipeline/features/serve';

const SPEND: Feature = {
  ...{ name: 'spend', entity: 'customer', type: FeatureType.NUMBER, ttlSeconds: 10, sourceVersion: 'v1', default: -1 },
};
const NOTE: Feature = { ...SPEND, name: 'note', type: FeatureType.TEXT, default: 'none' };
const DEFINITION: FeatureDefinition = { name: 'shop', features: [SPEND, NOTE] };
const NOW = 1_700_000_000_000;

/** Takes a record in, as the source sends it and the clock of the function says. */
function taken(features: object, { eventMs = NOW, nowMs = NOW, position = 0 } = {}): HistoryRow {
  const record = { entity: 'customer', key: 'c', eventTime: eventMs, sourceVersion: 'v1', features };
  const result = takeRecord(DEFINITION, record, { batch: 'b', position, nowMs });
  if ('reason' in result) throw new Error(`${result.rule}: ${result.reason}`);
  return result.row;
}

async function served(
  rows: readonly HistoryRow[],
  atMs: number,
  definition = DEFINITION,
): Promise<Record<string, ServedFeature>> {
  const row = rows.reduce<OnlineRow>((kept, each) => mergedRow(kept, onlineRowOf([each])) ?? kept, {});
  const { rows: answer } = await serveFeatures(
    definition,
    { entity: 'customer', keys: ['c'] },
    { store: { read: () => Promise.resolve([row]) }, now: () => atMs, served: () => undefined },
  );
  return answer[0]!.features;
}

describe('a value at the edge of its time to live', () => {
  it('is fresh to the last millisecond, and from the next one on stale, served and trained on alike', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 9_990, max: 10_010 }), async (age) => {
        const row = taken({ spend: 5 });
        const { spend } = await served([row], NOW + age);
        expect(spend).toEqual(
          age <= 10_000 ? { value: 5, status: 'fresh', age_ms: age } : { value: -1, status: 'stale', age_ms: age },
        );
        const [trained] = joinAsOf([SPEND], [row], [{ key: 'c', atMs: NOW + age }]);
        expect(trained!.spend).toEqual({ value: spend!.value, status: spend!.status, ageMs: age });
      }),
    );
  });
});

describe('clocks that do not agree', () => {
  it('leave no event later than its arrival, and refuse one that is a minute ahead', () => {
    fc.assert(
      fc.property(fc.integer({ min: -120_000, max: 120_000 }), (ahead) => {
        const take = () => taken({ spend: 1 }, { eventMs: NOW + ahead });
        if (ahead > 60_000) expect(take).toThrow('future_event: eventTime must not be in the future');
        else expect(take().eventMs).toBe(NOW + Math.min(0, ahead));
      }),
    );
  });

  it('are told where they count in seconds: such a number is no time of this century in milliseconds', () => {
    expect(() => taken({ spend: 1 }, { eventMs: NOW / 1000 })).toThrow(
      'event_time: eventTime must not be before 2000-01-01, got 1700000000: a number is taken for milliseconds',
    );
  });

  it('give no age below nothing, where the function that serves is behind the one that took in', async () => {
    expect((await served([taken({ spend: 1 })], NOW - 250)).spend).toEqual({ value: 1, status: 'fresh', age_ms: 0 });
  });

  it('let the event that is clamped win over one that happened before, and lose to none that comes later', async () => {
    const clamped = taken({ spend: 1 }, { eventMs: NOW + 30_000 });
    const before = taken({ spend: 2 }, { eventMs: NOW - 1, nowMs: NOW + 5 });
    const after = taken({ spend: 3 }, { eventMs: NOW + 10, nowMs: NOW + 10 });
    for (const order of [
      [clamped, before],
      [before, clamped],
    ]) {
      expect((await served(order, NOW + 20)).spend!.value).toBe(1);
    }
    expect((await served([after, before, clamped], NOW + 20)).spend!.value).toBe(3);
  });
});

describe('what comes in late', () => {
  it('changes no answer that was given before, in a training set of that moment, and is served from then on', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 9_000 }), fc.integer({ min: 0, max: 9_000 })), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.integer({ min: 0, max: 12_000 }),
        async (events, at) => {
          const rows = events.map(([event, delay], i) =>
            taken({ spend: i }, { eventMs: NOW + event, nowMs: NOW + event + delay, position: i }),
          );
          const known = rows.filter(({ ingestedMs }) => ingestedMs <= NOW + at);
          const then = (await served(known, NOW + at)).spend!;
          const [trained] = joinAsOf([SPEND], rows, [{ key: 'c', atMs: NOW + at }]);
          expect([then.value, then.status]).toEqual([trained!.spend!.value, trained!.spend!.status]);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a value that is null', () => {
  it('says nothing: what was known stays, with its age', async () => {
    const rows = [
      taken({ spend: 5, note: 'a' }),
      taken({ spend: null, note: 'b' }, { eventMs: NOW + 10, nowMs: NOW + 10 }),
    ];
    expect(await served(rows, NOW + 20)).toEqual({
      spend: { value: 5, status: 'fresh', age_ms: 20 },
      note: { value: 'b', status: 'fresh', age_ms: 10 },
    });
  });

  it('makes no record by itself, and what was never known is missing, not stale', async () => {
    expect(() => taken({ spend: null })).toThrow('no_value: features must hold at least one value');
    expect(await served([taken({ note: '' })], NOW + 60_000)).toEqual({
      spend: { value: -1, status: 'missing' },
      note: { value: 'none', status: 'stale', age_ms: 60_000 },
    });
  });

  it('is not what is falsy', async () => {
    expect(await served([taken({ spend: 0, note: '' })], NOW)).toMatchObject({
      ...{ spend: { value: 0, status: 'fresh' }, note: { value: '', status: 'fresh' } },
    });
  });
});

describe('a definition that has changed', () => {
  const changed = (change: Partial<Feature>): FeatureDefinition => ({
    name: 'shop',
    features: [{ ...SPEND, ...change }],
  });

  it.each<[string, Partial<Feature>]>([
    ['the source has another version', { sourceVersion: 'v2' }],
    ['the type is another, which a pinned definition would have refused', { type: FeatureType.TEXT, default: '-' }],
    ['numbers were taken, and whole ones are read', { type: FeatureType.INTEGER }],
  ])('serves no value that means something else: %s', async (_name, change) => {
    const { default: fallback = -1 } = change;
    expect((await served([taken({ spend: 5.5 })], NOW, changed(change))).spend).toEqual({
      ...{ value: fallback, status: 'missing' },
    });
  });

  it('judges by the time to live of now', async () => {
    const row = taken({ spend: 5.5 });
    expect((await served([row], NOW + 5000, changed({ ttlSeconds: 1 }))).spend!.status).toBe('stale');
    expect((await served([row], NOW + 50_000, changed({ ttlSeconds: 100 }))).spend!.status).toBe('fresh');
  });
});
