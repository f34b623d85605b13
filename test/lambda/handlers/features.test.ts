import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type FeatureDefinition, FeatureType } from '../../../lib';
import { offlineRows } from '../../../lambda/data-pipeline/features/offline-file';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';

const HANDLERS = resolve(__dirname, '../../../dist/handlers');
const DAY_MS = 86_400_000;
const DEFINITION: FeatureDefinition = {
  name: 'shop',
  features: [
    { name: 'spend', entity: 'customer', type: FeatureType.NUMBER, ttlSeconds: 3600, sourceVersion: 'v1', default: 0 },
    { name: 'orders', entity: 'customer', type: FeatureType.INTEGER, ttlSeconds: 3600, sourceVersion: 'v1' },
    { name: 'vip', entity: 'customer', type: FeatureType.BOOLEAN, ttlSeconds: 3600, sourceVersion: 'v1' },
  ],
};

interface Invoked {
  readonly answer: unknown;
  readonly lines: Record<string, unknown>[];
}

(hasMoto ? describe : describe.skip)('the functions of a feature store', () => {
  let moto: MotoServer;
  let environment: NodeJS.ProcessEnv;
  let requests = 0;

  beforeAll(async () => {
    moto = await startMoto();
    moto.python(`aws('dynamodb').create_table(TableName='online', BillingMode='PAY_PER_REQUEST',
      KeySchema=[{'AttributeName': 'id', 'KeyType': 'HASH'}],
      AttributeDefinitions=[{'AttributeName': 'id', 'AttributeType': 'S'}])
aws('s3').create_bucket(Bucket='offline', CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})`);
    const file = join(mkdtempSync(join(tmpdir(), 'features-')), 'features.json');
    writeFileSync(file, JSON.stringify(DEFINITION));
    environment = {
      ...moto.environment,
      FEATURES_FILE: file,
      FEATURE_STORE: 'shop',
      METRICS_NAMESPACE: 'Test',
      OFFLINE_BUCKET: 'offline',
      ONLINE_TABLE: 'online',
      SAMPLE_RATE: '1',
    };
  }, 60_000);
  afterAll(() => moto.close());

  /** Invokes a built handler with each event in turn, in one process, as one instance of a function would be. */
  function invoke(handler: string, events: readonly unknown[], changes: NodeJS.ProcessEnv = {}): Invoked {
    const script = `
      import { readFileSync } from 'node:fs';
      const { handler } = await import('${pathToFileURL(join(HANDLERS, handler, 'index.mjs')).href}');
      const answers = [];
      for (const [i, event] of JSON.parse(readFileSync(0, 'utf8')).entries()) {
        const context = { awsRequestId: '${String(++requests)}-' + i };
        answers.push(await handler(event, context).catch((error) => ({ threw: error.message })));
      }
      setTimeout(() => process.stdout.write(JSON.stringify({ answers }), () => process.exit()), 20);`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...environment, ...changes },
      input: JSON.stringify(events),
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    const all = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    return { answer: (all.at(-1) as { answers: unknown[] }).answers, lines: all.slice(0, -1) };
  }

  const record = (key: string, features: object, agoMs = 0) => ({
    ...{ entity: 'customer', key, eventTime: new Date(Date.now() - agoMs).toISOString(), sourceVersion: 'v1' },
    features,
  });
  const call = (body: unknown, changes: object = {}) => ({
    requestContext: { elb: { targetGroupArn: 'arn' } },
    ...{ httpMethod: 'POST', path: '/', headers: {}, body: JSON.stringify(body), isBase64Encoded: false },
    ...changes,
  });
  const objects = () =>
    moto.python(
      `print(json.dumps([o['Key'] for o in aws('s3').list_objects_v2(Bucket='offline').get('Contents', [])]))`,
    ) as string[];

  it('take records in, put aside what is wrong, and serve the rest with age and fallback', () => {
    const message = (body: unknown) => ({ body: JSON.stringify(body) });
    const { answer, lines } = invoke('feature-ingest', [
      {
        records: [
          record('a', { spend: 12.5, orders: 3 }, 60_000),
          record('b', { spend: 1, vip: true }, 7_200_000),
          record('c', { spend: 'much' }),
          record('c', { height: 3 }),
          'garbage',
        ],
      },
      {
        Records: [message(record('a', { vip: false })), { body: '{"entity":' }, message([record('d', { orders: 1 })])],
      },
      { detail: 'something else' },
    ]);
    expect(answer).toMatchObject([
      {
        taken: 2,
        quarantined: [
          { position: 2, rule: 'value', reason: 'features.spend must be a number, got "much"' },
          { position: 3, rule: 'unknown_feature' },
          { position: 4, rule: 'shape' },
        ],
      },
      { taken: 2, quarantined: [{ position: 1, rule: 'shape', reason: expect.stringContaining('must be an object') }] },
      { threw: expect.stringContaining('the event must be {"records": [...]} or a batch of a queue') },
    ]);
    expect(lines[0]).toMatchObject({ FeatureStore: 'shop', FeatureRecords: 2, FeatureRecordsQuarantined: 3 });

    const [, first, ...rest] = (
      invoke('feature-serve', [
        call({ entity: 'customer', keys: ['x'] }),
        call({ entity: 'customer', keys: ['a', 'b', 'nobody'] }),
        call(
          { entity: 'customer', keys: ['d'], features: ['orders'] },
          { isBase64Encoded: true, body: btoa('{"no":1}') },
        ),
        call({}, { body: 'garbage' }),
        call({}, { httpMethod: 'GET' }),
      ]).answer as { statusCode: number; body: string; headers: object }[]
    ).map(({ statusCode, body, headers }) => ({ statusCode, headers, body: JSON.parse(body) as unknown }));
    expect(first).toMatchObject({
      statusCode: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      body: {
        entity: 'customer',
        rows: [
          {
            key: 'a',
            features: {
              spend: { value: 12.5, status: 'fresh', age_ms: expect.any(Number) },
              orders: { value: 3, status: 'fresh' },
              vip: { value: false, status: 'fresh' },
            },
          },
          {
            key: 'b',
            features: {
              spend: { value: 0, status: 'stale', age_ms: expect.any(Number) },
              orders: { value: null, status: 'missing' },
              vip: { value: null, status: 'stale' },
            },
          },
          { key: 'nobody', features: { spend: { value: 0, status: 'missing' } } },
        ],
      },
    });
    expect(
      rest.map(({ statusCode, body }) => [statusCode, (body as { error: { message: string } }).error.message]),
    ).toEqual([
      [400, 'entity must be one of the definition, got nothing'],
      [400, 'the body must be JSON'],
      [405, 'the method must be POST, got GET'],
    ]);
  });

  it('keep all that came in as Parquet, by the day of its event, and what was refused beside it', async () => {
    const day = new Date().toISOString().slice(0, 10);
    const keys = objects();
    expect(keys.filter((key) => key.startsWith('features/customer/day=')).length).toBeGreaterThanOrEqual(2);
    expect(keys.some((key) => key.startsWith(`quarantine/day=${day}/`))).toBe(true);
    const [file] = keys.filter((key) => key.startsWith('features/customer/'));
    const body = moto.python(
      `import base64
print(json.dumps(base64.b64encode(aws('s3').get_object(Bucket='offline', Key='${file!}')['Body'].read()).decode()))`,
    ) as string;
    const rows = await offlineRows(Buffer.from(body, 'base64'), ['spend', 'orders', 'not_yet']);
    expect(rows.find(({ key }) => key === 'a' || key === 'b')).toMatchObject({
      sourceVersion: 'v1',
      ingestId: expect.stringMatching(/^\d{15}-\d+-\d-\d{7}$/),
    });
    expect(Object.keys(rows[0]!.values)).toEqual(['spend', 'orders']);
  });

  it('say 503, and no value at all, while the online store cannot be read', () => {
    const { answer, lines } = invoke('feature-serve', [call({ entity: 'customer', keys: ['a'] })], {
      ONLINE_TABLE: 'another',
    });
    expect(answer).toMatchObject([{ statusCode: 503 }]);
    expect(lines.at(-1)).toMatchObject({ level: 'warn', message: 'features cannot be served' });
  });

  it('find a feature that is served as it was not trained on, and no other', () => {
    const many = Array.from({ length: 600 }, (_, i) => i);
    const records = many.map((i) => record(`k${i}`, { spend: i % 100, orders: i % 7 }, 3 * DAY_MS));
    const now = many.map((i) => record(`k${i}`, { spend: 50 + (i % 100), orders: i % 7 }));
    invoke('feature-ingest', [{ records }, { records: now }]);
    const requests = many
      .slice(0, 6)
      .map((page) => call({ entity: 'customer', keys: many.slice(page * 100, page * 100 + 100).map((i) => `k${i}`) }));
    const served = invoke('feature-serve', requests);
    expect(served.lines[0]).toMatchObject({ Entity: 'customer', FeatureReadings: 300, FeatureReadingsMissing: 100 });

    const { lines } = invoke('feature-skew', [{}]);
    const skews = Object.fromEntries(lines.map((line) => [line.Feature, line.FeatureSkew])) as Record<string, number>;
    expect(Object.keys(skews).sort()).toEqual(['orders', 'spend']);
    expect(skews.orders).toBeLessThan(0.1);
    expect(skews.spend).toBeGreaterThan(0.25);
    expect(lines[0]).toMatchObject({ FeatureStore: 'shop', served_values: 600, trained_values: 600 });
  });
});
