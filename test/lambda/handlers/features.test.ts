import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FeatureDefinition, FeatureType } from '../../../lib';
import { offlineRows } from '../../../lambda/data-pipeline/features/offline-file';
import { featuresProgram } from '../../../bin/features/features-program';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';
import { callsOf, type Recorder, startRecorder } from '../recorded-calls';
import { invokeBuilt } from './invoke-built';

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

  beforeAll(async () => {
    moto = await startMoto();
    moto.python(`aws('dynamodb').create_table(TableName='online', BillingMode='PAY_PER_REQUEST',
      KeySchema=[{'AttributeName': 'id', 'KeyType': 'HASH'}],
      AttributeDefinitions=[{'AttributeName': 'id', 'AttributeType': 'S'}])
aws('s3').create_bucket(Bucket='offline', CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})
aws('s3').put_bucket_versioning(Bucket='offline', VersioningConfiguration={'Status': 'Enabled'})`);
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

  const recorders = new Map<string, Recorder>();
  afterAll(() => Promise.all([...recorders.values()].map((recorder) => recorder.close())));

  /** Invokes a built handler with each event in turn, in one process, and notes what it calls. */
  async function invoke(
    handler: string,
    events: readonly unknown[],
    changes: NodeJS.ProcessEnv = {},
  ): Promise<Invoked> {
    const recorder = recorders.get(handler) ?? (await startRecorder(handler, environment));
    recorders.set(handler, recorder);
    const { answers: answer, lines } = await invokeBuilt(handler, events, { ...recorder.environment, ...changes });
    return { answer, lines };
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

  it('take records in, put aside what is wrong, and serve the rest with age and fallback', async () => {
    const message = (body: unknown) => ({ body: JSON.stringify(body) });
    const { answer, lines } = await invoke('feature-ingest', [
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
      (
        await invoke('feature-serve', [
          call({ entity: 'customer', keys: ['x'] }),
          call({ entity: 'customer', keys: ['a', 'b', 'nobody'] }),
          call(
            { entity: 'customer', keys: ['d'], features: ['orders'] },
            { isBase64Encoded: true, body: btoa('{"no":1}') },
          ),
          call({}, { body: 'garbage' }),
          call({}, { httpMethod: 'GET' }),
        ])
      ).answer as { statusCode: number; body: string; headers: object }[]
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

  it('say 503, and no value at all, while the online store cannot be read', async () => {
    const { answer, lines } = await invoke('feature-serve', [call({ entity: 'customer', keys: ['a'] })], {
      ONLINE_TABLE: 'another',
    });
    expect(answer).toMatchObject([{ statusCode: 503 }]);
    expect(lines.at(-1)).toMatchObject({ level: 'warn', message: 'features cannot be served' });
  });

  it('find a feature that is served as it was not trained on, and no other', async () => {
    const many = Array.from({ length: 600 }, (_, i) => i);
    const records = many.map((i) => record(`k${i}`, { spend: i % 100, orders: i % 7 }, 3 * DAY_MS));
    const now = many.map((i) => record(`k${i}`, { spend: 50 + (i % 100), orders: i % 7 }));
    await invoke('feature-ingest', [{ records }, { records: now }]);
    const requests = many
      .slice(0, 6)
      .map((page) => call({ entity: 'customer', keys: many.slice(page * 100, page * 100 + 100).map((i) => `k${i}`) }));
    const served = await invoke('feature-serve', requests);
    expect(served.lines[0]).toMatchObject({ Entity: 'customer', FeatureReadings: 300, FeatureReadingsMissing: 100 });

    const { lines } = await invoke('feature-skew', [{}]);
    const skews = Object.fromEntries(lines.map((line) => [line.Feature, line.FeatureSkew])) as Record<string, number>;
    expect(Object.keys(skews).sort()).toEqual(['orders', 'spend']);
    expect(skews.orders).toBeLessThan(0.1);
    expect(skews.spend).toBeGreaterThan(0.25);
    expect(lines[0]).toMatchObject({ FeatureStore: 'shop', served_values: 600, trained_values: 600 });
  });

  describe('looked after by the command line', () => {
    /** Lambda, as far as the command knows it. */
    const lambda = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (part: string) => (body += part));
      request.on('end', () => {
        void invoke('feature-maintenance', [JSON.parse(body)]).then(({ answer, lines }) => {
          logged.push(...lines);
          const [result] = answer as [{ threw?: string }];
          if (result.threw !== undefined) response.setHeader('x-amz-function-error', 'Unhandled');
          response.end(JSON.stringify(result.threw === undefined ? result : { errorMessage: result.threw }));
        });
      });
    });
    const logged: Record<string, unknown>[] = [];
    const before = { ...process.env };
    beforeAll(async () => {
      await new Promise<void>((listening) => lambda.listen(0, '127.0.0.1', listening));
      Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_REGION: 'eu-west-1' });
    });
    afterAll(() => {
      process.env = before;
      lambda.close();
    });

    const run = async (...args: string[]): Promise<string> => {
      const printed: string[] = [];
      const endpoint = `http://127.0.0.1:${(lambda.address() as AddressInfo).port}`;
      const where = ['--function', 'maintenance', '--aws-endpoint', endpoint];
      const program = featuresProgram((text) => printed.push(text)).exitOverride();
      await program.parseAsync([args[0]!, ...where, ...args.slice(1)], { from: 'user' });
      return printed.join('');
    };
    /** Every version of every object, as the bytes in it. */
    const versionsWith = (text: string) =>
      moto.python(`
found = []
for v in aws('s3').list_object_versions(Bucket='offline').get('Versions', []):
    if ${JSON.stringify(text)}.encode() in aws('s3').get_object(Bucket='offline', Key=v['Key'], VersionId=v['VersionId'])['Body'].read():
        found.append(v['Key'])
print(json.dumps(found))`) as string[];

    it('fills the online store again after it was lost', async () => {
      moto.python(`
for item in aws('dynamodb').scan(TableName='online')['Items']:
    aws('dynamodb').delete_item(TableName='online', Key={'id': item['id']})`);
      expect(await run('backfill', '--entity', 'customer')).toMatch(/^rows 120\d, days \d\n$/);
      const { answer } = await invoke('feature-serve', [
        call({ entity: 'customer', keys: ['k7'], features: ['spend'] }),
      ]);
      const [{ body }] = answer as [{ body: string }];
      expect(JSON.parse(body)).toMatchObject({ rows: [{ features: { spend: { value: 57, status: 'fresh' } } }] });
    }, 60_000);

    it('erases an entity: no version of any object, and no item, holds it, and the log does not either', async () => {
      const person = 'erase-me-17';
      for (const spend of [1, 2, 'none']) await invoke('feature-ingest', [{ records: [record(person, { spend })] }]);
      await invoke('feature-ingest', [{ records: [record(person, { spend: 3 }), record('stays', { spend: 4 })] }]);
      moto.python(`
for key, body in {'athena/1.csv': '"who"\\n"${person}"\\n', 'athena/2.csv': '"who"\\n"stays"\\n'}.items():
    aws('s3').put_object(Bucket='offline', Key=key, Body=body.encode())
aws('s3').delete_object(Bucket='offline', Key='athena/1.csv')
aws('s3').put_object(Bucket='offline', Key='athena/3.csv', Body=b'"who"\\n"${person}"\\n')`);
      await invoke('feature-ingest', [
        { records: [record(person, { spend: 'no' }), record('stays', { spend: 'no' })] },
      ]);
      expect(versionsWith(person)).toHaveLength(7);
      const told = await run('erase', '--entity', 'customer', '--key', person);
      expect(told).toMatch(/^rows 3, files 3, quarantined 2, results 1, versions \d+, note erasures\/\S+\.json\n$/);
      expect(versionsWith(person)).toEqual([]);
      const items = moto.python(
        `print(json.dumps([i['id']['S'] for i in aws('dynamodb').scan(TableName='online')['Items']]))`,
      );
      expect(items).toContain('customer#stays');
      expect(items).not.toContain(`customer#${person}`);
      expect(JSON.stringify(logged)).not.toContain(person);
      expect(logged.at(-1)).toMatchObject({ action: 'erase', rows: 3 });
      expect(versionsWith('stays').length).toBeGreaterThan(0);
      expect(await run('erase', '--entity', 'customer', '--key', person)).toMatch(/^rows 0, files 0, quarantined 0/);
    }, 60_000);

    it('puts files together, and says what is wrong with a request', async () => {
      expect(await run('compact')).toBe('replaced 0, written 0, removed 0, isDone true\n');
      await expect(run('erase', '--entity', 'shop', '--key', 'k')).rejects.toThrow(
        'entity must be one of the definition',
      );
    }, 60_000);
  });

  it('puts together what is old enough, and later removes what it replaced', async () => {
    const day = 5 * DAY_MS;
    for (let i = 0; i < 9; i++) await invoke('feature-ingest', [{ records: [record(`old-${i}`, { orders: i }, day)] }]);
    const prefix = `features/customer/day=${new Date(Date.now() - day).toISOString().slice(0, 10)}/`;
    const files = () => objects().filter((key) => key.startsWith(prefix)).length;
    expect(files()).toBeGreaterThanOrEqual(8);
    const clock = (hours: number) => ({ NODE_OPTIONS: `--import=${shiftedClock(hours)}` });
    const { answer } = await invoke('feature-maintenance', [{ action: 'compact' }], clock(30));
    expect(answer).toMatchObject([{ written: expect.any(Number), removed: 0, isDone: true }]);
    await invoke('feature-maintenance', [{ action: 'compact' }], clock(32));
    expect(files()).toBeLessThanOrEqual(2);
    expect(objects().filter((key) => key.startsWith('compaction/'))).toEqual([]);
  }, 60_000);

  it.each(['feature-ingest', 'feature-serve', 'feature-skew', 'feature-maintenance'])(
    'have %s call of AWS what is recorded, and its role permits',
    (handler) => {
      const { recorded, seen } = callsOf(handler, 'moto');
      expect(seen).toEqual(recorded);
    },
  );
});

/** A module that sets the clock of a process ahead. */
function shiftedClock(hours: number): string {
  const file = join(mkdtempSync(join(tmpdir(), 'clock-')), 'clock.mjs');
  writeFileSync(file, `const now = Date.now; Date.now = () => now() + ${hours} * 3_600_000;`);
  return file;
}
