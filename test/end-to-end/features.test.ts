import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI, { type APIError } from 'openai';
import { policyFile } from './policy';
import { CliProcess, type RunningPlatform, startPlatform } from './processes';

const KEY = 'sk-test-feature-tenant';
const LIFE_SECONDS = 3;

const POLICY = {
  plans: [{ name: 'standard', requestsPerMinute: 6000, tokensPerMinute: 1_000_000 }],
  tenants: [{ name: 'acme', plan: 'standard', keys: [KEY] }],
  backends: [{ name: 'gpu' }, { name: 'online' }],
  models: [
    { name: 'assistant', backends: ['gpu'] },
    { name: 'features', kind: 'service', backends: ['online'] },
  ],
  cache: { ttlSeconds: 60 },
};

const source = { entity: 'customer', sourceVersion: 'orders-v3' };
const DEFINITION = {
  name: 'shop',
  features: [
    { name: 'spend_30d', type: 'number', ttlSeconds: 172_800, default: 0, ...source },
    { name: 'last_click', type: 'text', ttlSeconds: LIFE_SECONDS, default: 'none', ...source },
    { name: 'orders', type: 'integer', ttlSeconds: 172_800, ...source },
  ],
};

interface Reading {
  readonly value: unknown;
  readonly status: string;
  readonly age_ms?: number;
}

interface Served {
  readonly rows: readonly { readonly key: string; readonly features: Readonly<Record<string, Reading>> }[];
}

describe('features through the gateway', () => {
  const root = mkdtempSync(join(tmpdir(), 'features-'));
  let platform: RunningPlatform;
  let client: OpenAI;
  let ingestion: string[];

  beforeAll(async () => {
    const file = join(root, 'features.json');
    writeFileSync(file, JSON.stringify(DEFINITION));
    platform = await startPlatform(['--policy', policyFile(POLICY), '--features', `online=${file}`]);
    client = new OpenAI({ baseURL: platform.baseUrl, apiKey: KEY, maxRetries: 0 });
    ingestion = await platform.process.printed(/features ingest FILE (--function) (\S+) (--aws-endpoint) (\S+)/);
  });
  afterAll(async () => {
    await platform.process.end();
    rmSync(root, { recursive: true, force: true });
  });

  const ingest = async (...records: readonly object[]) => {
    const file = join(root, 'records.jsonl');
    writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    const cli = new CliProcess(['features', 'ingest', file, ...ingestion]);
    return { code: await cli.exitCode(), output: cli.output, errors: cli.errors };
  };
  const record = (key: string, features: object, agoMs = 0) => ({
    ...{ ...source, key, features },
    eventTime: new Date(Date.now() - agoMs).toISOString(),
  });
  const read = async (...keys: readonly string[]) => {
    const { rows } = await client.post<Served>('/services/features', { body: { entity: 'customer', keys } });
    return rows.map(({ features }) => features);
  };

  it('serves what was sent in, with its age, and the declared default for what is not there', async () => {
    const report = await ingest(record('c-17', { spend_30d: 129.9, orders: 4 }, 60_000));
    expect(report).toEqual({ code: 0, output: 'taken in 1, quarantined 0\n', errors: '' });
    const [known, unknown] = await read('c-17', 'c-18');
    expect(known).toMatchObject({
      spend_30d: { value: 129.9, status: 'fresh' },
      orders: { value: 4, status: 'fresh' },
      last_click: { value: 'none', status: 'missing' },
    });
    expect(known!.spend_30d!.age_ms).toBeGreaterThanOrEqual(60_000);
    expect(known!.spend_30d!.age_ms).toBeLessThan(80_000);
    expect(unknown).toEqual({
      spend_30d: { value: 0, status: 'missing' },
      orders: { value: null, status: 'missing' },
      last_click: { value: 'none', status: 'missing' },
    });
  });

  it('serves the declared fallback when a value has become stale, and says so', async () => {
    await ingest(record('c-19', { last_click: 'shoes' }));
    expect((await read('c-19'))[0]!.last_click).toMatchObject({ value: 'shoes', status: 'fresh' });
    await delay(LIFE_SECONDS * 1000 + 100);
    const [stale] = await read('c-19');
    expect(stale!.last_click).toMatchObject({ value: 'none', status: 'stale' });
    expect(stale!.last_click!.age_ms).toBeGreaterThan(LIFE_SECONDS * 1000);
  });

  it('keeps the newer event, whichever comes last, and refuses records that are wrong by line', async () => {
    const newer = record('c-20', { orders: 2 }, 1000);
    const other = { ...record('c-20', { orders: 9 }), sourceVersion: 'orders-v2' };
    const { code, output } = await ingest(newer, record('c-20', { orders: 1 }, 5000), other);
    expect(code).toBe(2);
    expect(output).toContain('line 3  source_version');
    expect(output).toContain('taken in 2, quarantined 1\n');
    expect((await read('c-20'))[0]!.orders).toMatchObject({ value: 2, status: 'fresh' });
  });

  it('refuses what it does not know in the words of the service', async () => {
    const error = await client.post('/services/features', { body: { entity: 'planet', keys: ['x'] } }).then(
      () => undefined,
      (failure: unknown) => failure as APIError,
    );
    expect(error).toMatchObject({ status: 400, param: 'entity' });
  });
});
