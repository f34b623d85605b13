import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { FeatureDefinition } from '../../../../lib';
import { joinAsOf } from '../../../../lambda/data-pipeline/features/as-of-join';
import { backfillOnline } from '../../../../lambda/data-pipeline/features/backfill';
import { type CompactionSettings, compactionRound } from '../../../../lambda/data-pipeline/features/compact';
import { eraseEntity } from '../../../../lambda/data-pipeline/features/erase';
import { type HistoryRow, ingestIdOf } from '../../../../lambda/data-pipeline/features/history';
import { ingest } from '../../../../lambda/data-pipeline/features/ingest';
import { offlineFiles, offlineRows } from '../../../../lambda/data-pipeline/features/offline-file';
import { mergedRow, type OnlineRow, type OnlineStore } from '../../../../lambda/data-pipeline/features/online-store';
import { serveFeatures } from '../../../../lambda/data-pipeline/features/serve';
import { MemoryObjects } from './memory-objects';
import { FEATURES, history, labels } from './random-history';

const DEFINITION: FeatureDefinition = { name: 'shop', features: FEATURES };
const NAMES = FEATURES.map(({ name }) => name);
const HOUR_MS = 3_600_000;
const SETTINGS: CompactionSettings = { leastFiles: 3, mostBytes: 1_000_000, leastAgeMs: 0, graceMs: HOUR_MS };

/** An online store in memory. */
class MemoryOnline implements OnlineStore {
  public readonly rows = new Map<string, OnlineRow>();
  public read(entity: string, keys: readonly string[]): Promise<OnlineRow[]> {
    return Promise.resolve(keys.map((key) => this.rows.get(`${entity}#${key}`) ?? {}));
  }
  public write(entity: string, key: string, row: OnlineRow): Promise<void> {
    const id = `${entity}#${key}`;
    const merged = mergedRow(this.rows.get(id) ?? {}, row);
    if (merged) this.rows.set(id, merged);
    return Promise.resolve();
  }
  public remove(entity: string, key: string): Promise<void> {
    this.rows.delete(`${entity}#${key}`);
    return Promise.resolve();
  }
}

/** Puts each row into a file of its own, as sources do that send one at a time. */
async function filled(
  rows: readonly HistoryRow[],
  nowMs = 10_000_000,
): Promise<{ objects: MemoryObjects; clock: { ms: number } }> {
  const clock = { ms: nowMs };
  const objects = new MemoryObjects(() => clock.ms);
  for (const [i, row] of rows.entries()) {
    for (const { key, body } of offlineFiles(DEFINITION, 'customer', [row], `batch-${i}`)) await objects.put(key, body);
  }
  return { objects, clock };
}

/** All rows that Athena would read. */
async function readable(objects: MemoryObjects): Promise<HistoryRow[]> {
  const rows: HistoryRow[] = [];
  for (const key of objects.keys('features/customer/')) {
    rows.push(...(await offlineRows(objects.versions.get(key)!.at(-1)!.body!, NAMES)));
  }
  return rows;
}

const idsOf = (rows: readonly HistoryRow[]) => rows.map(({ ingestId }) => ingestId).sort();
const portsOf = ({ objects, clock }: Awaited<ReturnType<typeof filled>>) => {
  return { objects, now: () => clock.ms, mayGoOn: () => true };
};

describe('compaction', () => {
  it('puts small files together, lets queries end that have begun, and then removes what it replaced', async () => {
    const rows = Array.from({ length: 40 }, (_, i): HistoryRow => ({
      ...{ key: `k${i % 7}`, eventMs: i * 1000, ingestedMs: i * 1000, ingestId: ingestIdOf(i * 1000, 'b', 0) },
      ...{ sourceVersion: 'v2', values: { spend: i, orders: null } },
    }));
    const bucket = await filled(rows);
    const round = () => compactionRound(DEFINITION, SETTINGS, portsOf(bucket));
    expect(await round()).toEqual({ replaced: 40, written: 1, removed: 0, isDone: true });
    expect(bucket.objects.keys('features/')).toHaveLength(41);
    bucket.clock.ms += HOUR_MS - 1;
    expect(await round()).toEqual({ replaced: 0, written: 0, removed: 0, isDone: true });
    bucket.clock.ms += 1;
    expect(await round()).toEqual({ replaced: 0, written: 0, removed: 40, isDone: true });
    expect(bucket.objects.keys('features/')).toHaveLength(1);
    expect(idsOf(await readable(bucket.objects))).toEqual(idsOf(rows));
    expect(await round()).toEqual({ replaced: 0, written: 0, removed: 0, isDone: true });
    expect(bucket.objects.keys('compaction/')).toEqual([]);
  });

  it('changes no training set, wherever it is cut off and begun again', async () => {
    await fc.assert(
      fc.asyncProperty(history, labels, fc.array(fc.nat(40), { maxLength: 6 }), async (rows, wanted, cuts) => {
        const bucket = await filled(rows);
        const before = joinAsOf(FEATURES, rows, wanted);
        for (const cut of [...cuts, Infinity, Infinity, Infinity]) {
          bucket.objects.callsLeft = cut;
          await compactionRound(DEFINITION, SETTINGS, portsOf(bucket)).catch((error: Error) => {
            expect(error.message).toBe('cut off');
          });
          bucket.clock.ms += HOUR_MS;
          const seen = await readable(bucket.objects);
          expect(new Set(idsOf(seen))).toEqual(new Set(idsOf(rows)));
          expect(joinAsOf(FEATURES, seen, wanted)).toEqual(before);
        }
        // At rest, each row is there once.
        expect(idsOf(await readable(bucket.objects))).toEqual(idsOf(rows));
      }),
      { numRuns: 150 },
    );
  });

  it('leaves new files, large ones, and few', async () => {
    const row = (i: number): HistoryRow => ({
      ...{ key: 'k', eventMs: 1000, ingestedMs: 1000, ingestId: ingestIdOf(1000, 'b', i) },
      ...{ sourceVersion: 'v2', values: { tier: 'x'.repeat(50) } },
    });
    const bucket = await filled([row(0), row(1)]);
    const round = (settings: Partial<CompactionSettings>) =>
      compactionRound(DEFINITION, { ...SETTINGS, ...settings }, portsOf(bucket));
    expect(await round({})).toMatchObject({ replaced: 0 });
    expect(await round({ leastFiles: 2, leastAgeMs: 1 })).toMatchObject({ replaced: 0 });
    expect(await round({ leastFiles: 2, mostBytes: 100 })).toMatchObject({ replaced: 0 });
    expect(await round({ leastFiles: 2 })).toMatchObject({ replaced: 2 });
  });

  it('keeps a file that its batch has written anew meanwhile', async () => {
    const rows = [0, 1, 2].map((i): HistoryRow => ({
      ...{ key: 'k', eventMs: 1000, ingestedMs: 1000, ingestId: ingestIdOf(1000, 'b', i) },
      ...{ sourceVersion: 'v2', values: { orders: i } },
    }));
    const bucket = await filled(rows);
    await compactionRound(DEFINITION, SETTINGS, portsOf(bucket));
    const again: HistoryRow = { ...rows[1]!, ingestedMs: 5000, ingestId: ingestIdOf(5000, 'b', 1) };
    const [file] = offlineFiles(DEFINITION, 'customer', [again], 'batch-1');
    await bucket.objects.put(file!.key, file!.body);
    bucket.clock.ms += HOUR_MS;
    expect(await compactionRound(DEFINITION, SETTINGS, portsOf(bucket))).toMatchObject({ removed: 2 });
    expect(idsOf(await readable(bucket.objects))).toEqual(idsOf([...rows, again]));
  });

  it('stops when its time is up', async () => {
    const bucket = await filled([]);
    const row = {
      key: 'k',
      eventMs: 1000,
      ingestedMs: 1000,
      ingestId: 'i',
      sourceVersion: 'v2',
      values: { orders: 1 },
    };
    const [file] = offlineFiles(DEFINITION, 'customer', [row], 'b');
    await bucket.objects.put(file!.key, file!.body);
    const ports = { ...portsOf(bucket), mayGoOn: () => false };
    expect(await compactionRound(DEFINITION, SETTINGS, ports)).toMatchObject({ isDone: false });
  });
});

describe('erasing an entity', () => {
  const KEY = 'c-17 "quoted"';
  const DAY_MS = 86_400_000;
  const dayMs = (day: number) => Date.parse('2026-01-01') + day * DAY_MS;

  /** Two entities, days apart, with refusals, results of queries, overwritten files and a compaction under way. */
  async function store() {
    const bucket = await filled([]);
    const online = new MemoryOnline();
    const { objects, clock } = bucket;
    clock.ms = dayMs(20);
    const putFile = ({ key, body }: { key: string; body: Uint8Array }) => objects.put(key, body);
    const record = (key: string, day: number, spend: unknown) => ({
      ...{ entity: 'customer', key, eventTime: dayMs(day), sourceVersion: 'v2', features: { spend } },
    });
    for (let day = 1; day <= 5; day++) {
      for (let i = 0; i < 3; i++) {
        const records = [record(KEY, day, day), record('other', day, -day), record(KEY, day, 'refused')];
        await ingest(DEFINITION, records, `batch-${day}-${i}`, { putFile, store: online, now: () => clock.ms });
      }
    }
    await objects.put(
      'quarantine/day=2026-01-21/x.jsonl',
      `${JSON.stringify({ record: JSON.stringify(record(KEY, 1, 1)) })}\n`,
    );
    await objects.put('athena/one.csv', `"who","spend"\n"${KEY.replaceAll('"', '""')}","1"\n`);
    await objects.put('athena/two.csv', '"who","spend"\n"other","1"\n');
    await compactionRound(DEFINITION, SETTINGS, portsOf(bucket));
    return { bucket, online };
  }

  const trained = async (objects: MemoryObjects) => {
    const at = dayMs(5) + 500;
    const wanted = [KEY, 'other'].map((key) => ({ key, atMs: at }));
    const joined = joinAsOf(FEATURES, await readable(objects), wanted, { lateArrivals: 'include' as never });
    return joined.map(({ spend }) => spend!.status);
  };

  it('leaves nothing of it: online, in training sets, refusals, results, or any version of any object', async () => {
    const { bucket, online } = await store();
    const { objects } = bucket;
    expect(await trained(objects)).toEqual(['fresh', 'fresh']);
    expect(objects.holds('c-17').length).toBeGreaterThan(20);

    const report = await eraseEntity(
      DEFINITION,
      { entity: 'customer', key: KEY },
      { ...portsOf(bucket), store: online },
    );
    expect(report).toMatchObject({
      rows: 15,
      files: 5,
      quarantined: 16,
      results: 1,
      note: expect.stringMatching(/^erasures\/2026-01-21T/),
    });
    expect(objects.holds('c-17')).toEqual([]);
    expect([...online.rows.keys()]).toEqual(['customer#other']);
    expect(await trained(objects)).toEqual(['missing', 'fresh']);
    const answer = await serveFeatures(
      DEFINITION,
      { entity: 'customer', keys: [KEY], features: ['spend'] },
      { store: online, now: () => bucket.clock.ms, served: () => undefined },
    );
    expect(answer.rows[0]!.features).toEqual({ spend: { value: -1.5, status: 'missing' } });

    // The others are as they were, and each row is there once.
    const others = (await readable(objects)).filter(({ key }) => key === 'other');
    expect(new Set(idsOf(others)).size).toBe(others.length);
    expect(others).toHaveLength(15);
    expect(objects.keys('athena/')).toEqual(['athena/two.csv']);
    const note = JSON.parse(objects.versions.get(report.note!)!.at(-1)!.body!.toString()) as object;
    expect(note).toMatchObject({ entity: 'customer', rows: 15, keySha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  it('goes on where its time was up, and comes to the same however often it is cut off', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(60), { maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        async (cuts, daysAtOnce) => {
          const { bucket, online } = await store();
          const { objects } = bucket;
          const erase = (after?: string) => {
            let left = daysAtOnce;
            const ports = { ...portsOf(bucket), store: online, mayGoOn: () => left-- > 0 };
            return eraseEntity(
              DEFINITION,
              { entity: 'customer', key: KEY, ...(after !== undefined && { after }) },
              ports,
            );
          };
          for (const cut of cuts) {
            objects.callsLeft = cut;
            await erase().catch(() => undefined);
          }
          objects.callsLeft = Infinity;
          let report = await erase();
          let calls = 1;
          while (report.next !== undefined) {
            report = await erase(report.next);
            calls++;
          }
          expect(calls).toBe(Math.floor(5 / daysAtOnce) + (5 % daysAtOnce === 0 ? 0 : 1));
          expect(objects.holds('c-17')).toEqual([]);
          expect((await readable(objects)).filter(({ key }) => key === 'other')).toHaveLength(15);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('refuses an entity that there is not', async () => {
    const { bucket, online } = await store();
    await expect(
      eraseEntity(DEFINITION, { entity: 'shop', key: 'k' }, { ...portsOf(bucket), store: online }),
    ).rejects.toThrow('entity must be one of the definition, got "shop"');
  });
});

describe('filling the online store from the history', () => {
  it('serves what a store serves that was told every record, whatever was there before', async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.nat(25), async (rows, known) => {
        const bucket = await filled(rows);
        const [told, backfilled] = [new MemoryOnline(), new MemoryOnline()];
        const own = (row: HistoryRow) => {
          const values = Object.entries(row.values).filter(
            ([name, value]) =>
              value != null && FEATURES.find((each) => each.name === name)!.sourceVersion === row.sourceVersion,
          );
          return Object.fromEntries(
            values.map(([name, value]) => [
              name,
              { value: value!, eventMs: row.eventMs, ingestId: row.ingestId, sourceVersion: row.sourceVersion },
            ]),
          );
        };
        for (const row of rows) await told.write('customer', row.key, own(row));
        for (const row of rows.slice(0, known)) await backfilled.write('customer', row.key, own(row));
        const report = await backfillOnline(
          DEFINITION,
          { entity: 'customer' },
          { ...portsOf(bucket), store: backfilled },
        );
        expect(report.rows).toBe(rows.length);
        for (const key of ['a', 'b']) {
          expect(backfilled.rows.get(`customer#${key}`) ?? {}).toEqual(told.rows.get(`customer#${key}`) ?? {});
        }
      }),
      { numRuns: 100 },
    );
  });

  it('takes the days that are asked for, goes on where its time was up, and refuses what is no day', async () => {
    const rows = [1, 2, 3].map((day): HistoryRow => ({
      ...{ key: `k${day}`, eventMs: day * 86_400_000, ingestedMs: day * 86_400_000, ingestId: ingestIdOf(day, 'b', 0) },
      ...{ sourceVersion: 'v2', values: { orders: day } },
    }));
    const bucket = await filled(rows);
    const online = new MemoryOnline();
    let left = 1;
    const ports = { ...portsOf(bucket), store: online, mayGoOn: () => left-- > 0 };
    const asked = { entity: 'customer', firstDay: '1970-01-03', lastDay: '1970-01-04' };
    const first = await backfillOnline(DEFINITION, asked, ports);
    expect(first).toEqual({ rows: 1, days: 1, next: '1970-01-03' });
    left = 5;
    expect(await backfillOnline(DEFINITION, { ...asked, after: first.next! }, ports)).toEqual({ rows: 1, days: 1 });
    expect([...online.rows.keys()]).toEqual(['customer#k2', 'customer#k3']);
    await expect(backfillOnline(DEFINITION, { ...asked, firstDay: 'May' }, ports)).rejects.toThrow(
      'firstDay must be a date such as "2026-03-01", got "May"',
    );
  });
});
