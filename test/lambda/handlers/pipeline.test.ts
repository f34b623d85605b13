import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PipelineDefinition } from '../../../lib';
import type { ShardPlan } from '../../../lambda/data-pipeline/reading/shard-plan';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';
import { callsOf, type Recorder, startRecorder } from '../recorded-calls';
import { invokeBuilt } from './invoke-built';

const DEFINITION: PipelineDefinition = {
  name: 'manual',
  stages: [
    { name: 'parse', work: { parse: {} } },
    { name: 'chunk', work: { chunk: { mostTokens: 64, overlapTokens: 8 } } },
    {
      name: 'embed',
      work: { embed: { model: 'bow', dimensions: 64 } },
      rules: [{ name: 'short', expression: 'size(text) < 1000' }],
    },
  ],
  mostFaultRate: 0.3,
  retrieval: { goldenSet: 'golden.jsonl', leastRecall: 1, results: 2 },
};

const FILES = {
  'docs/breaker.md': '# Breakers\n\nA breaker opens when half of the calls of a backend fail.\n',
  'docs/cache.md': '# Cache\n\nAnswers are kept for one hour, compressed above four kilobytes.\n',
  'docs/queue.txt': 'Dead letters wait in a queue until somebody looks at them.\n',
};

/** A bag of words, hashed: what shares words lies near. */
function embeddingOf(text: string): number[] {
  const vector = new Array<number>(64).fill(0);
  for (const word of text.toLowerCase().match(/[a-z]+/g) ?? []) {
    const slot = [...word].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 64, 7);
    vector[slot]! += 1;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

interface Stored {
  readonly key: string;
  readonly data: { readonly float32: number[] };
  readonly metadata: Record<string, unknown>;
}

/** S3 Vectors, of which moto lacks the query, and the embedding model. */
class Services {
  public readonly indexes = new Map<
    string,
    { settings: Record<string, unknown>; createdAt: number; vectors: Map<string, Stored> }
  >();
  public readonly keys: (string | undefined)[] = [];
  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => (text += part));
      request.on('end', () => {
        const body = JSON.parse(text) as Record<string, unknown>;
        const answer =
          request.url === '/v1/embeddings'
            ? this.embed(body, request.headers.authorization)
            : this.vectors(request.url!, body);
        response.statusCode = answer ? 200 : request.url === '/CreateIndex' ? 409 : 404;
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(answer ?? { message: 'The index is there already, or could not be found' }));
      });
    });
  }

  public async start(): Promise<string> {
    await new Promise<void>((listening) => this.server.listen(0, '127.0.0.1', listening));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  public close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private embed({ input }: Record<string, unknown>, authorization?: string): object {
    this.keys.push(authorization);
    return { data: (input as string[]).map((text, index) => ({ index, embedding: embeddingOf(text) })) };
  }

  private vectors(operation: string, body: Record<string, unknown>): object | undefined {
    const name = body.indexName as string;
    const index = this.indexes.get(name);
    if (operation === '/CreateIndex') {
      if (index) return undefined;
      this.indexes.set(name, { settings: body, createdAt: Date.now() / 1000, vectors: new Map() });
      return {};
    }
    if (!index) return undefined;
    if (operation === '/GetIndex') return { index: { indexName: name, creationTime: index.createdAt } };
    if (operation === '/DeleteIndex') this.indexes.delete(name);
    if (operation === '/PutVectors') for (const each of body.vectors as Stored[]) index.vectors.set(each.key, each);
    if (operation !== '/QueryVectors') return {};
    const { float32 } = body.queryVector as { float32: number[] };
    const near = [...index.vectors.values()].map(({ key, data, metadata }) => {
      return { key, metadata, distance: 1 - data.float32.reduce((sum, value, i) => sum + value * float32[i]!, 0) };
    });
    return { vectors: near.sort((one, other) => one.distance - other.distance).slice(0, body.topK as number) };
  }
}

interface Outcome {
  readonly plan: { run: string; sequence: number; plan: string; shards: number };
  readonly audit: { version: string; isHeld: boolean; held?: string; counts: Record<string, number> };
  readonly publication?: { outcome: string; version: string };
  readonly index?: Record<string, unknown>;
}

(hasMoto ? describe : describe.skip)('the functions of a data pipeline', () => {
  const services = new Services();
  let moto: MotoServer;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    moto = await startMoto();
    const url = await services.start();
    moto.python(`
for name in ['landing', 'versions']:
    aws('s3').create_bucket(Bucket=name, CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})
aws('dynamodb').create_table(TableName='pointers', BillingMode='PAY_PER_REQUEST',
    KeySchema=[{'AttributeName': 'pipeline', 'KeyType': 'HASH'}, {'AttributeName': 'sequence', 'KeyType': 'RANGE'}],
    AttributeDefinitions=[{'AttributeName': 'pipeline', 'AttributeType': 'S'}, {'AttributeName': 'sequence', 'AttributeType': 'S'}])
arn = aws('secretsmanager').create_secret(Name='key', SecretString='sk-pipeline')['ARN']
print(json.dumps(arn))`);
    const file = join(mkdtempSync(join(tmpdir(), 'pipeline-')), 'pipeline.json');
    writeFileSync(file, JSON.stringify(DEFINITION));
    const machine = JSON.stringify({ StartAt: 'End', States: { End: { Type: 'Succeed' } } });
    environment = {
      ...moto.environment,
      STATE_MACHINE: moto.python(
        `print(json.dumps(aws('stepfunctions').create_state_machine(name='machine', definition='${machine}', roleArn='arn:aws:iam::123456789012:role/machine')['stateMachineArn']))`,
      ) as string,
      AWS_ENDPOINT_URL_S3VECTORS: url,
      PIPELINE_FILE: file,
      PIPELINE_NAME: 'manual-1',
      PIPELINE_BUCKET: 'versions',
      LANDING_BUCKET: 'landing',
      POINTER_TABLE: 'pointers',
      VECTOR_BUCKET: 'vectors',
      EMBEDDING_URL: `${url}/v1`,
      EMBEDDING_KEY_SECRET: 'key',
      METRICS_NAMESPACE: 'Test',
      COST_PER_GIGABYTE: '1000',
    };
    for (const [name, text] of Object.entries(FILES)) land(`incoming/${name}`, text);
    const golden = [
      { query: 'when does a breaker open', uri: 'docs/breaker.md' },
      { query: 'how long are answers kept', uri: 'docs/cache.md' },
    ];
    land('references/golden.jsonl', golden.map((each) => JSON.stringify(each)).join('\n'));
  }, 60_000);
  afterAll(async () => {
    services.close();
    await moto.close();
  });

  function land(key: string, text: string): void {
    moto.python(
      `aws('s3').put_object(Bucket='landing', Key=${JSON.stringify(key)}, Body=${JSON.stringify(text)}.encode())`,
    );
  }

  function objectsBelow(prefix: string): string[] {
    return moto.python(
      `print(json.dumps([o['Key'] for o in aws('s3').list_objects_v2(Bucket='versions', Prefix='${prefix}').get('Contents', [])]))`,
    ) as string[];
  }

  const recorders = new Map<string, Recorder[]>();
  afterAll(() => Promise.all([...recorders.values()].flat().map((recorder) => recorder.close())));

  /** Invokes a handler as one of the functions, and notes what that calls. */
  async function invokeAs(name: string, handler: string, events: readonly unknown[]) {
    const [aws, vectors] = recorders.get(name) ?? [
      await startRecorder(name, environment),
      await startRecorder(name, { ...environment, AWS_ENDPOINT_URL: environment.AWS_ENDPOINT_URL_S3VECTORS }),
    ];
    recorders.set(name, [aws!, vectors!]);
    const { AWS_ENDPOINT_URL: AWS_ENDPOINT_URL_S3VECTORS } = vectors!.environment;
    return invokeBuilt(handler, events, { ...aws!.environment, AWS_ENDPOINT_URL_S3VECTORS });
  }

  async function step<T>(event: object): Promise<T> {
    const name = 'BatchInput' in event ? 'pipeline-worker' : 'pipeline-steps';
    const { answers } = await invokeAs(name, 'pipeline-stage', [event]);
    const [answer] = answers as { threw?: string }[];
    if (answer!.threw !== undefined) throw new Error(answer!.threw);
    return answer as T;
  }

  /** Takes the steps as the state machine does; ends before publishing where the version is held. */
  async function run(request: object = {}, until: 'shards' | 'audit' | 'end' = 'end'): Promise<Outcome> {
    const files = { leg: 0, prefix: 'incoming/', isJobOutput: false };
    const plan = await step<Outcome['plan']>({ step: 'plan', request, ...files });
    const lines = moto.python(
      `print(json.dumps(aws('s3').get_object(Bucket='versions', Key='${plan.plan}')['Body'].read().decode()))`,
    ) as string;
    const items = lines
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as ShardPlan);
    await step({ BatchInput: { run: plan.run, ...files }, Items: items });
    if (until === 'shards') return { plan } as Outcome;
    const audit = await step<Outcome['audit']>({ step: 'audit', run: plan.run });
    if (audit.isHeld || until === 'audit') return { plan, audit };
    const publication = await step<{ outcome: string; version: string }>({
      ...{ step: 'publish', run: plan.run, sequence: plan.sequence },
    });
    expect(await step({ step: 'fill', version: audit.version })).toMatchObject({ isFilled: true });
    const index = await step<Record<string, unknown>>({ step: 'index', version: audit.version });
    await step({ step: 'tidy', run: plan.run });
    return { plan, audit, publication, index };
  }

  const control = async (request: object) =>
    (await invokeAs('pipeline-control', 'pipeline-control', [request])).answers[0] as Record<string, unknown>;
  const ask = async (query: string) => {
    const { answers } = await invokeAs('retrieval', 'retrieval', [{ query }]);
    return answers[0] as { version: string; matches: { fields: { uri: string } }[] };
  };

  let first: Outcome;

  it('publish what has landed, and a query finds its page', async () => {
    first = await run();
    expect(first).toMatchObject({
      audit: { isHeld: false, counts: { read: 3, faulty: 0 } },
      publication: { outcome: 'published' },
      index: { isSwitched: true, recall: 1, missed: 0 },
    });
    const found = await ask('what happens to dead letters');
    expect(found.version).toBe(first.audit.version);
    expect(found.matches[0]!.fields.uri).toBe('docs/queue.txt');
    expect(services.keys.every((key) => key === 'Bearer sk-pipeline')).toBe(true);
    expect(objectsBelow('staging/')).toEqual([]);
  }, 60_000);

  it('make the same version of the same input, and publish nothing anew', async () => {
    const again = await run();
    expect(again.audit.version).toBe(first.audit.version);
    expect(again.publication).toEqual({ outcome: 'unchanged', version: first.audit.version });
    expect((await control({ action: 'versions' })).history).toHaveLength(1);
  }, 60_000);

  it('go on where a run was cut off, and let none publish that another has overtaken', async () => {
    land('incoming/docs/limits.md', '# Limits\n\nTokens each minute are a bucket.\n');
    const cut = await run({}, 'shards');
    const slow = await run({}, 'audit');
    expect(slow.plan.run).toBe(cut.plan.run);
    const published = await run();
    expect(published.publication).toMatchObject({ outcome: 'published' });
    land('incoming/docs/other.md', '# Other\n\nSomething else.\n');
    const next = await run({}, 'audit');
    const { published: earlier, execution } = await control({ action: 'rollback' });
    const overtaken = await step({ step: 'publish', run: next.plan.run, sequence: next.plan.sequence });
    expect(overtaken).toMatchObject({ outcome: 'overtaken', by: first.audit.version });
    expect(await control({ action: 'versions' })).toMatchObject({
      current: first.audit.version,
      history: [{ reason: 'publish' }, { reason: 'publish' }, { reason: 'rollback' }],
    });
    // The index follows, by the execution that the roll-back has started.
    const started = moto.python(
      `print(aws('stepfunctions').describe_execution(executionArn='${String(execution)}')['input'])`,
    ) as object;
    expect([earlier, started]).toEqual([first.audit.version, { index: first.audit.version }]);
    expect((await ask('tokens each minute')).version).toBe(published.audit.version);
    expect(await step({ step: 'index', version: first.audit.version })).toMatchObject({ isSwitched: true, recall: 1 });
    const asked = await ask('tokens each minute');
    expect(asked.version).toBe(first.audit.version);
    expect(asked.matches.map(({ fields }) => fields.uri)).not.toContain('docs/limits.md');
  }, 120_000);

  it('hold a version back whose faults are too many, and show what was put aside and why', async () => {
    for (let i = 0; i < 4; i++) {
      moto.python(
        `aws('s3').put_object(Bucket='landing', Key='incoming/docs/bad${i}.md', Body=bytes([0xff, 0xfe, 0x41]))`,
      );
    }
    const held = await run();
    expect(held.audit).toMatchObject({ isHeld: true, held: expect.stringContaining('records are at fault') });
    expect(held.publication).toBeUndefined();
    const { total, records } = (await control({ action: 'quarantine', version: held.audit.version })) as {
      total: number;
      records: Record<string, unknown>[];
    };
    expect(total).toBe(4);
    expect(records[0]).toMatchObject({
      file: 'docs/bad0.md',
      offset: 0,
      rule: expect.any(String),
      reason: expect.any(String),
    });
    expect((await control({ action: 'versions' })).current).toBe(first.audit.version);
    const redriven = await run({ redrive: held.audit.version }, 'audit');
    expect(redriven.audit.counts).toMatchObject({ faulty: 4 });
    moto.python(`
for i in range(4):
    aws('s3').delete_object(Bucket='landing', Key=f'incoming/docs/bad{i}.md')`);
  }, 120_000);

  it('hold a version back where a shard failed', async () => {
    const plan = await step<Outcome['plan']>({
      step: 'plan',
      request: {},
      leg: 0,
      prefix: 'incoming/',
      isJobOutput: false,
    });
    for (const key of objectsBelow(`staging/${plan.run}/shards/`)) {
      moto.python(`aws('s3').delete_object(Bucket='versions', Key='${key}')`);
    }
    const audit = await step<Outcome['audit']>({ step: 'audit', run: plan.run });
    expect(audit).toMatchObject({ isHeld: true, held: '1 of 1 shards failed: start the run again' });
  }, 60_000);

  it('run no file that was replaced since the run was planned', async () => {
    land('incoming/docs/queue.txt', 'One text.\n');
    const files = { leg: 0, prefix: 'incoming/', isJobOutput: false };
    const plan = await step<Outcome['plan']>({ step: 'plan', request: {}, ...files });
    const lines = moto.python(
      `print(json.dumps(aws('s3').get_object(Bucket='versions', Key='${plan.plan}')['Body'].read().decode()))`,
    ) as string;
    land('incoming/docs/queue.txt', 'Another text.\n');
    const Items = lines
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as ShardPlan);
    await expect(step({ BatchInput: { run: plan.run, ...files }, Items })).rejects.toThrow(
      'docs/queue.txt was replaced since the run was planned',
    );
  }, 60_000);

  it('keep a ceiling on what a run may cost', async () => {
    const plan = { step: 'plan', leg: 0, prefix: 'incoming/', isJobOutput: false };
    await expect(step({ ...plan, request: { mostCost: 0.0000001 } })).rejects.toThrow('the run would cost about');
    await expect(step({ ...plan, request: { mostCost: 100 } })).resolves.toMatchObject({ shards: 1 });
  }, 60_000);

  it('trace a record to its file, pin a version, and say what can be asked', async () => {
    const { version } = first.audit;
    expect(await control({ action: 'lineage', version })).toMatchObject({ ancestors: [{ version, depth: 0 }] });
    const { matches } = await ask('breaker opens');
    const id = (matches as unknown as { id: string }[])[0]!.id;
    expect(await control({ action: 'lineage', version: (await ask('x')).version, id })).toMatchObject({
      records: [{ file: 'docs/breaker.md', offset: 0 }],
    });
    expect(await control({ action: 'pin', version })).toEqual({ pinned: version });
    expect(await control({ action: 'manifest', version })).toMatchObject({ pipeline: 'manual', shards: 1 });
    expect(await control({ action: 'delete' })).toEqual({
      threw: expect.stringContaining('action must be versions, manifest'),
    });
    expect(await control({ action: 'lineage', version: '../x' })).toEqual({
      threw: expect.stringContaining('32 digits'),
    });
  }, 60_000);

  it('start a redrive as a run of the state machine', async () => {
    const answer = await control({ action: 'redrive', version: first.audit.version });
    expect(answer).toEqual({ execution: expect.stringContaining(':execution:machine:') });
  }, 60_000);

  it.each(['pipeline-worker', 'pipeline-steps', 'pipeline-control', 'retrieval'])(
    'have %s call of AWS what is recorded, and its role permits',
    (handler) => {
      const { recorded, seen } = callsOf(handler, 'moto');
      expect(seen).toEqual(recorded);
    },
  );
});
