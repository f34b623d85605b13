import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { FeatureDefinition } from '../../../../lib';
import { awsService } from '../../../../lambda/aws/service';
import { joinAsOf } from '../../../../lambda/data-pipeline/features/as-of-join';
import type { HistoryRow } from '../../../../lambda/data-pipeline/features/history';
import {
  mergedRow,
  type OnlineRow,
  type OnlineStore,
  onlineRowOf,
} from '../../../../lambda/data-pipeline/features/online-store';
import { serveFeatures } from '../../../../lambda/data-pipeline/features/serve';
import { TableOnlineStore } from '../../../../lambda/feature-store/table-online-store';
import { ValkeyOnlineStore } from '../../../../lambda/feature-store/valkey-online-store';
import { StoreConnection } from '../../../../lambda/store/connection';
import { describeEachStore } from '../../../store-servers';
import { hasMoto, type MotoServer, startMoto } from '../../moto-server';
import { FEATURES, history } from './random-history';

const DEFINITION: FeatureDefinition = { name: 'shop', features: FEATURES };
const KEYS = ['a', 'b', 'unknown'];

/** A history whose events all come in no earlier than they happen, of the versions that each feature is of. */
const honest = history.map((rows) => rows.filter(({ eventMs, ingestedMs }) => eventMs <= ingestedMs));

/** Rows as ingestion would let them through: of each feature, only what its own source has computed. */
function taken(row: HistoryRow): HistoryRow {
  const values = Object.entries(row.values).filter(([name]) =>
    FEATURES.some((feature) => feature.name === name && feature.sourceVersion === row.sourceVersion),
  );
  return { ...row, values: Object.fromEntries(values) };
}

/** What a store serves once it has been told a history, row by row in any order and as often as that has it. */
async function served(store: OnlineStore, rows: readonly HistoryRow[], atMs: number, suffix = '') {
  for (const row of rows) await store.write('customer', row.key + suffix, onlineRowOf([row]), FEATURES);
  const keys = KEYS.map((key) => key + suffix);
  const request = { entity: 'customer', keys };
  const { rows: answer } = await serveFeatures(DEFINITION, request, {
    store,
    now: () => atMs,
    served: () => undefined,
  });
  return answer.map(({ features }) => features);
}

/** What a training set has for the same moment. */
function trained(rows: readonly HistoryRow[], atMs: number) {
  const labels = KEYS.map((key) => ({ key, atMs }));
  return joinAsOf(FEATURES, rows, labels).map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, { value, status, ageMs }]) => [
        name,
        { value, status, ...(ageMs !== undefined && { age_ms: ageMs }) },
      ]),
    ),
  );
}

/** Rows that have come in by a time, in the order of chance. */
const told = fc
  .tuple(honest, fc.integer({ min: 1_000_000, max: 1_008_500 }), fc.integer({ min: 0, max: 1_000_000 }))
  .map(([rows, atMs, seed]) => {
    const known = rows.map(taken).filter(({ ingestedMs }) => ingestedMs <= atMs);
    const place = (row: HistoryRow) => (Number(row.ingestId.slice(-7)) * 7919 + seed) % 1009;
    const shuffled = known.toSorted((one, other) => place(one) - place(other));
    return { rows, atMs, told: [...shuffled, ...shuffled.slice(0, seed % 3)] };
  });

class MemoryStore implements OnlineStore {
  private readonly rows = new Map<string, OnlineRow>();

  public read(_entity: string, keys: readonly string[]): Promise<OnlineRow[]> {
    return Promise.resolve(keys.map((key) => this.rows.get(key) ?? {}));
  }

  public write(_entity: string, key: string, row: OnlineRow): Promise<void> {
    const kept = this.rows.get(key) ?? {};
    this.rows.set(key, mergedRow(kept, row) ?? kept);
    return Promise.resolve();
  }

  public remove(_entity: string, key: string): Promise<void> {
    this.rows.delete(key);
    return Promise.resolve();
  }
}

describe('what is served', () => {
  it('is what a training set of that moment has, in whatever order and however often records came in', async () => {
    await fc.assert(
      fc.asyncProperty(told, async ({ rows, atMs, told: order }) => {
        expect(await served(new MemoryStore(), order, atMs)).toEqual(trained(rows, atMs));
      }),
      { numRuns: 500 },
    );
  });

  it('is the same where records of one entity come together', () => {
    fc.assert(
      fc.property(honest, (rows) => {
        const one = rows.filter(({ key }) => key === 'a').map(taken);
        const single = one.reduce<OnlineRow>((kept, row) => mergedRow(kept, onlineRowOf([row])) ?? kept, {});
        expect(onlineRowOf(one)).toEqual(single);
      }),
    );
  });
});

/** The real clock runs on: what is kept must outlive the test. */
const later = (rows: readonly HistoryRow[], byMs: number): HistoryRow[] =>
  rows.map((row) => ({ ...row, eventMs: row.eventMs + byMs, ingestedMs: row.ingestedMs + byMs }));

/** Serves the same from a real store as from memory, run after run under other keys. */
async function agrees(store: OnlineStore, runs: number): Promise<void> {
  const shift = Date.now() - 1_000_000;
  let run = 0;
  await fc.assert(
    fc.asyncProperty(told, async ({ rows, atMs, told: order }) => {
      run += 1;
      expect(await served(store, later(order, shift), atMs + shift, String(run))).toEqual(
        trained(later(rows, shift), atMs + shift),
      );
    }),
    { numRuns: runs },
  );
}

/** Forgets one entity of two, and one that is not there. */
async function forgets(store: OnlineStore): Promise<void> {
  const row = { orders: { value: 3, eventMs: Date.now(), ingestId: 'i', sourceVersion: 'v2' } };
  for (const key of ['gone', 'stays']) await store.write('customer', key, row, FEATURES);
  for (const key of ['gone', 'gone', 'never there']) await store.remove('customer', key);
  expect(await store.read('customer', ['gone', 'stays', 'never there'], ['orders'])).toEqual([{}, row, {}]);
  // What is told of it later is new.
  await store.write('customer', 'gone', row, FEATURES);
  expect(await store.read('customer', ['gone'], ['orders'])).toEqual([row]);
}

describeEachStore('features in Valkey', (url) => {
  let connection: StoreConnection;
  let store: ValkeyOnlineStore;
  beforeAll(() => {
    const settings = { url: url(), timeoutMs: 2000, connectTimeoutMs: 5000, onError: () => undefined };
    connection = new StoreConnection(settings);
    store = new ValkeyOnlineStore((commands) => connection.trip(commands), 'shop', Date.now);
  });
  afterAll(() => {
    connection.close();
  });

  it('are served as a training set of that moment has them', async () => {
    await agrees(store, 60);
  });

  it('may be written by many at one time, and the newest stays', async () => {
    const now = Date.now();
    const writes = Array.from({ length: 50 }, (_, i) => ({ value: i, eventMs: now - 1000 + i, ingestId: `${i}` }));
    await Promise.all(
      writes
        .toSorted((one, other) => ((one.value * 7) % 50) - ((other.value * 7) % 50))
        .map((write) => store.write('customer', 'raced', { orders: { ...write, sourceVersion: 'v2' } }, FEATURES)),
    );
    expect((await store.read('customer', ['raced'], ['orders']))[0]!.orders!.value).toBe(49);
  });

  it('give way to those of a new source, which are older', async () => {
    const now = Date.now();
    const value = { value: 'old', eventMs: now, ingestId: '2', sourceVersion: 'v1' };
    await store.write('customer', 'moved', { tier: value }, FEATURES);
    const next = { value: 'a|b', eventMs: now - 500, ingestId: '1', sourceVersion: 'v2' };
    await store.write('customer', 'moved', { tier: next }, FEATURES);
    expect(await store.read('customer', ['moved'], ['tier'])).toEqual([{ tier: next }]);
  });

  it('are forgotten where an entity is erased', () => forgets(store));

  it('are gone a week after the last of them is stale', async () => {
    const eventMs = Date.now() - 7 * 86_400_000 - 1500;
    const dated = { eventMs, ingestId: '1', sourceVersion: 'v2' };
    await store.write('customer', 'gone', { tier: { value: 'x', ...dated } }, FEATURES);
    await store.write('customer', 'going', { spend: { value: 1, ...dated } }, FEATURES);
    const [gone, going] = await store.read('customer', ['gone', 'going'], ['tier', 'spend']);
    expect([gone, going!.spend!.value]).toEqual([{}, 1]);
    const [ttl] = (await connection.trip([{ call: 'PTTL', args: ['features:{shop}:customer:going'] }])) as [number];
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(500);
  });
});

(hasMoto ? describe : describe.skip)('features in DynamoDB', () => {
  let moto: MotoServer;
  let store: TableOnlineStore;
  beforeAll(async () => {
    moto = await startMoto();
    moto.python(`aws('dynamodb').create_table(TableName='online', BillingMode='PAY_PER_REQUEST',
      KeySchema=[{'AttributeName': 'id', 'KeyType': 'HASH'}],
      AttributeDefinitions=[{'AttributeName': 'id', 'AttributeType': 'S'}])`);
    store = new TableOnlineStore(awsService(moto.environment, 'dynamodb', 5000), 'online');
  }, 60_000);
  afterAll(() => moto.close());

  it('are served as a training set of that moment has them', async () => {
    await agrees(store, 15);
  }, 60_000);

  it('are forgotten where an entity is erased', () => forgets(store));

  it('may be written by many at one time, and the newest of each stays', async () => {
    const now = Date.now();
    const write = (name: string, i: number) => {
      const value = { value: i, eventMs: now - 1000 + i, ingestId: `${i}`, sourceVersion: 'v2' };
      return store.write('customer', 'raced', { [name]: value }, FEATURES);
    };
    await Promise.all([3, 1, 2].flatMap((i) => [write('orders', i), write('spend', i)]));
    const [row] = await store.read('customer', ['raced']);
    expect([row!.orders!.value, row!.spend!.value]).toEqual([3, 3]);
  });

  it('are kept until a week after the last of them is stale', async () => {
    const eventMs = Date.now();
    const dated = { eventMs, ingestId: '1', sourceVersion: 'v2' };
    await store.write('customer', 'kept', { orders: { value: 1, ...dated }, tier: { value: 'x', ...dated } }, FEATURES);
    const item = moto.python(
      `print(json.dumps(aws('dynamodb').get_item(TableName='online', Key={'id': {'S': 'customer#kept'}})['Item']))`,
    ) as { expiresAt: { N: string } };
    expect(Number(item.expiresAt.N)).toBe(Math.ceil((eventMs + 5000) / 1000) + 7 * 86_400);
  });
});
