import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Stack } from 'aws-cdk-lib';
import type { DataPipelineProps, PipelineDefinition } from '../../lib';
import { invokeBuilt } from '../lambda/handlers/invoke-built';
import { hasMoto, type MotoServer, startMoto } from '../lambda/moto-server';
import {
  type Machine,
  type RenderedPipeline,
  renderedPipeline,
  type State,
} from '../lib/data-pipeline/rendered-pipeline';
import { StateMachineHost } from './state-machine-host';

const ORDER = {
  type: 'object',
  required: ['id', 'amount'],
  properties: { id: { type: 'string' }, amount: { type: 'number' } },
  additionalProperties: false,
};
const TOTAL = {
  type: 'object',
  required: ['id', 'total'],
  properties: { id: { type: 'string' }, total: { type: 'number' } },
  additionalProperties: false,
};

const ORDERS: PipelineDefinition = {
  name: 'orders',
  stages: [
    { name: 'check', work: { check: {} }, input: ORDER, output: ORDER, rules: [{ name: 'one', unique: ['id'] }] },
  ],
  mostFaultRate: 0.2,
};

/** Checked, summed up by a Glue job, checked again. */
const SUMMED: PipelineDefinition = {
  name: 'sums',
  stages: [
    { name: 'check', work: { check: {} }, input: ORDER, output: ORDER, rules: [{ name: 'one', unique: ['id'] }] },
    {
      ...{ name: 'sum', work: { glueJob: { name: 'sum' } }, input: ORDER, output: TOTAL },
      rules: [{ name: 'positive', expression: 'total >= 0' }],
    },
    { name: 'again', work: { check: {} }, input: TOTAL, output: TOTAL },
  ],
  mostFaultRate: 0.4,
};

interface Execution {
  readonly status: string;
  readonly error?: string;
  readonly cause?: string;
  readonly output?: Record<string, unknown>;
}

/** A pipeline that runs: its machine in moto, its functions as they are built. */
class Deployment {
  public readonly rendered: RenderedPipeline;
  private executions = 0;
  private readonly machineArn: string;

  constructor(
    private readonly moto: MotoServer,
    host: StateMachineHost,
    id: string,
    propsOf: (stack: Stack) => DataPipelineProps,
  ) {
    let definition: PipelineDefinition | undefined;
    this.rendered = renderedPipeline((stack) => {
      const props = propsOf(stack);
      ({ definition } = props);
      return props;
    }, id);
    const { buckets, tables, functions, machine } = this.rendered;
    const file = join(mkdtempSync(join(tmpdir(), 'machine-')), 'pipeline.json');
    writeFileSync(file, JSON.stringify(definition));
    for (const { arn, handler, environment } of functions) {
      host.functions.set(arn, async (payload) => {
        const variables = { ...moto.environment, ...environment, PIPELINE_FILE: file };
        const { answers } = await invokeBuilt(handler, [payload], variables);
        const [answer] = answers as [{ threw?: string }];
        if (answer.threw !== undefined) throw new Error(answer.threw);
        return answer;
      });
    }
    const name = `machine-${definition!.name}`;
    this.machineArn = moto.python(`
for name in ${JSON.stringify(buckets)}:
    aws('s3').create_bucket(Bucket=name, CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})
for name in ${JSON.stringify(tables)}:
    aws('dynamodb').create_table(TableName=name, BillingMode='PAY_PER_REQUEST',
        KeySchema=[{'AttributeName': 'pipeline', 'KeyType': 'HASH'}, {'AttributeName': 'sequence', 'KeyType': 'RANGE'}],
        AttributeDefinitions=[{'AttributeName': each, 'AttributeType': 'S'} for each in ['pipeline', 'sequence']])
print(json.dumps(aws('stepfunctions').create_state_machine(name='${name}', definition=${JSON.stringify(
      JSON.stringify(asInterpreted(machine)),
    )}, roleArn='arn:aws:iam::123456789012:role/machine')['stateMachineArn']))`) as string;
  }

  public get landing(): string {
    return this.rendered.functions[0]!.environment.LANDING_BUCKET!;
  }

  public get bucket(): string {
    return this.rendered.functions[0]!.environment.PIPELINE_BUCKET!;
  }

  public land(name: string, records: readonly object[]): void {
    const body = records.map((record) => `${JSON.stringify(record)}\n`).join('');
    this.moto.python(
      `aws('s3').put_object(Bucket='${this.landing}', Key='incoming/${name}', Body=${JSON.stringify(body)}.encode())`,
    );
  }

  public objects(prefix: string): string[] {
    return this.moto.python(
      `print(json.dumps([o['Key'] for o in aws('s3').list_objects_v2(Bucket='${this.bucket}', Prefix='${prefix}').get('Contents', [])]))`,
    ) as string[];
  }

  public object(key: string): string {
    return this.moto.python(
      `print(json.dumps(aws('s3').get_object(Bucket='${this.bucket}', Key='${key}')['Body'].read().decode()))`,
    ) as string;
  }

  /** Names of the states that a run went through, without those of the map's children, and how it ended. */
  public async run(input: object = {}): Promise<{ readonly execution: Execution; readonly states: string[] }> {
    const name = `run-${++this.executions}`;
    const arn = this.moto.python(
      `print(json.dumps(aws('stepfunctions').start_execution(stateMachineArn='${this.machineArn}', name='${name}', input=${JSON.stringify(JSON.stringify(input))})['executionArn']))`,
    ) as string;
    for (;;) {
      const found = this.moto.python(`
e = aws('stepfunctions').describe_execution(executionArn='${arn}')
h = aws('stepfunctions').get_execution_history(executionArn='${arn}')['events']
print(json.dumps({'execution': {k: e[k] for k in ['status', 'error', 'cause', 'output'] if e.get(k)},
    'states': [x['stateEnteredEventDetails']['name'] for x in h if 'stateEnteredEventDetails' in x]}))`) as {
        execution: Execution & { output?: string };
        states: string[];
      };
      const { status, output } = found.execution;
      if (status !== 'RUNNING') {
        const told = output === undefined ? {} : { output: JSON.parse(output) as Record<string, unknown> };
        return { ...found, execution: { ...found.execution, ...told } };
      }
      await pause(100);
    }
  }
}

/**
 * The definition as the interpreter takes it, which knows less of distributed maps than Step Functions does. It has no
 * batches of items: the size of one is put to the end of the label, where machine.py finds it, and what a batch looks like
 * is said by a selector of items. It runs no express executions, writes no results, and tolerates any failure.
 */
function asInterpreted(machine: Machine): Machine {
  const states = Object.entries(machine.States).map(([name, state]): [string, State] => {
    if (state.Type !== 'Map') return [name, state];
    const { ItemBatcher, Label, ResultWriter, ToleratedFailurePercentage, ItemProcessor, ...rest } = state as State & {
      ItemBatcher: { MaxItemsPerBatch: number; BatchInput: object };
      Label: string;
    };
    expect([typeof ResultWriter, typeof ToleratedFailurePercentage]).toEqual(['object', 'number']);
    const selected = { BatchInput: ItemBatcher.BatchInput, Items: '{% $states.context.Map.Item.Value %}' };
    return [
      name,
      {
        ...rest,
        Label: `${Label}-${ItemBatcher.MaxItemsPerBatch}`,
        ItemSelector: selected,
        ItemProcessor: { ...ItemProcessor!, ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' } },
      },
    ];
  });
  return { ...machine, States: Object.fromEntries(states) };
}

(hasMoto ? describe : describe.skip)(
  'the state machine of a pipeline, run by an interpreter of the States Language',
  () => {
    const host = new StateMachineHost();
    let moto: MotoServer;

    beforeAll(async () => {
      const address = await host.start();
      moto = await startMoto({
        ...{ module: 'cloud.machine', folder: __dirname },
        environment: { MACHINE_HOST: address },
      });
    }, 60_000);
    afterAll(async () => {
      host.close();
      await moto.close();
    });

    const orders = (ids: readonly number[], amount: (id: number) => unknown = (id) => id) =>
      ids.map((id) => ({ id: String(id), amount: amount(id) }));

    it('publishes what has landed, through every state of a run, and nothing anew the second time', async () => {
      const deployed = new Deployment(moto, host, 'Orders', () => ({ definition: ORDERS }));
      deployed.land('a.jsonl', [...orders([1, 2]), { id: '3', amount: 'much' }]);
      deployed.land('b.jsonl', orders([4, 5, 6, 7]));
      const { execution, states } = await deployed.run();
      expect(execution).toMatchObject({ status: 'SUCCEEDED', output: { gone: [] } });
      const way = ['Begin', 'Plan', 'AnyShards', 'Shards', 'Audit', 'MayPublish', 'Publish', 'IsPublished', 'Tidy'];
      expect(states).toEqual(way);
      const versions = deployed.objects('versions/');
      expect(versions).toHaveLength(1);
      expect(manifestIn(deployed)).toMatchObject({ counts: { read: 7, published: 6, quarantined: 1, faulty: 1 } });

      expect((await deployed.run({ backfill: true })).states).toEqual(way);
      expect(deployed.objects('versions/')).toEqual(versions);
      const payloads = host.calls.map(({ payload }) => JSON.stringify(payload));
      expect(payloads.some((text) => text.includes('"BatchInput":{"run":"'))).toBe(true);
      expect(Math.max(...payloads.map(({ length }) => length))).toBeLessThan(262_144);
    }, 120_000);

    it('fails, and says why, where a version is held, refused by the gate, or overtaken', async () => {
      const gateArn = 'arn:aws:lambda:eu-west-1:111122223333:function:gate';
      const deployed = new Deployment(moto, host, 'Gated', (stack) => ({
        definition: { ...ORDERS, name: 'gated' },
        publishGate: lambda.Function.fromFunctionArn(stack, 'Gate', gateArn),
      }));
      const flip = (sequence: number) =>
        moto.python(
          `aws('dynamodb').put_item(TableName='${deployed.rendered.tables[0]!}', Item={'pipeline': {'S': 'gated'}, 'sequence': {'S': '${String(sequence).padStart(12, '0')}'}, 'version': {'S': '${'0'.repeat(32)}'}, 'reason': {'S': 'publish'}})`,
        );
      deployed.land('a.jsonl', orders([1, 2], String));
      expect((await deployed.run()).execution).toMatchObject({
        ...{ status: 'FAILED', error: 'VersionHeld' },
        cause: expect.stringMatching(/^version [0-9a-f]{32} is held: 2 of 2 records are at fault/),
      });

      deployed.land('a.jsonl', orders([1, 2]));
      host.functions.set(gateArn, () => Promise.resolve({ publish: 'yes' }));
      const refused = await deployed.run();
      expect(refused.execution).toMatchObject({ error: 'VersionRefused', cause: expect.stringContaining('the gate') });
      expect(host.calls.findLast(({ called }) => called === gateArn)?.payload).toMatchObject({
        audit: { isHeld: false, counts: { read: 2 }, anomalies: [] },
      });
      expect(refused.states).not.toContain('Publish');

      host.functions.set(gateArn, () => {
        flip(1);
        return Promise.resolve({ publish: true });
      });
      expect((await deployed.run()).execution).toMatchObject({ error: 'Overtaken', status: 'FAILED' });

      host.functions.set(gateArn, () => Promise.resolve({ publish: true }));
      expect((await deployed.run()).execution).toMatchObject({ status: 'SUCCEEDED' });
    }, 180_000);

    it('does not undo a roll-back with the next run on the same input, unless that is asked for', async () => {
      const deployed = new Deployment(moto, host, 'Back', () => ({ definition: { ...ORDERS, name: 'back' } }));
      deployed.land('a.jsonl', orders([1]));
      await deployed.run();
      deployed.land('a.jsonl', orders([2]));
      await deployed.run();
      const control = host.functions.get(
        deployed.rendered.functions.find(({ handler }) => handler.endsWith('control'))!.arn,
      )!;
      await control({ action: 'rollback' });
      const { execution, states } = await deployed.run();
      expect(execution).toMatchObject({
        ...{ status: 'FAILED', error: 'RolledBack' },
        cause: expect.stringMatching(/^version [0-9a-f]{32} was rolled back from, and is not published again/),
      });
      expect(states.slice(-2)).toEqual(['IsPublished', 'RolledBack']);
      expect((await deployed.run({ again: true })).execution).toMatchObject({ status: 'SUCCEEDED' });
      expect(await control({ action: 'versions' })).toMatchObject({
        history: ['publish', 'publish', 'rollback', 'publish'].map((reason) => ({ reason })),
      });
    }, 180_000);

    describe('with a Glue job between two stages', () => {
      let deployed: Deployment;
      const summed: object[] = [];
      const started = () => host.calls.filter(({ called }) => called === 'sum-job').length;

      beforeAll(() => {
        moto.python(
          `aws('glue').create_job(Name='sum-job', Role='arn:aws:iam::123456789012:role/job', Command={'Name': 'glueetl'})`,
        );
        deployed = new Deployment(moto, host, 'Sums', () => ({ definition: SUMMED, glueJobs: { sum: 'sum-job' } }));
        host.jobs.set('sum-job', (args) => {
          const [, , bucket, ...path] = args['--input']!.split('/');
          expect(bucket).toBe(deployed.bucket);
          const records = deployed
            .objects(path.join('/'))
            .flatMap((key) => deployed.object(key).trimEnd().split('\n'))
            .map((line) => JSON.parse(line) as { id: string; amount: number });
          summed.push(...records);
          const lines = records.map(({ id, amount }) => JSON.stringify({ id, total: id === '9' ? -1 : amount * 2 }));
          const output = args['--output']!.split('/').slice(3).join('/');
          for (const [name, body] of [
            ['part-00000.json', `${lines.join('\n')}\n`],
            ['_SUCCESS', ''],
          ] as const) {
            moto.python(
              `aws('s3').put_object(Bucket='${deployed.bucket}', Key='${output}${name}', Body=${JSON.stringify(body)}.encode())`,
            );
          }
          return Promise.resolve();
        });
      }, 60_000);

      it('gives the job what came through before it, holds what it gives to its contract, and publishes the rest', async () => {
        deployed.land('a.jsonl', [...orders([1, 2, 9]), { id: '3', amount: 'much' }]);
        deployed.land('b.jsonl', orders([1, 4]));
        const { execution, states } = await deployed.run();
        expect(execution).toMatchObject({ status: 'SUCCEEDED' });
        expect(states).toEqual([
          ...['Begin', 'Plan', 'AnyShards', 'Shards', 'HandOver', 'MayGoOn', 'Job2', 'Plan2', 'AnyShards2', 'Shards2'],
          ...['Audit', 'MayPublish', 'Publish', 'IsPublished', 'Tidy'],
        ]);
        // Neither the record that breaks the contract nor the second one with a key that must be unique.
        expect(summed).toEqual(orders([1, 2, 9, 4]));
        const manifest = manifestIn(deployed);
        expect(manifest).toMatchObject({
          counts: { read: 6, published: 3, quarantined: 3, faulty: 3 },
          stages: [
            { name: 'check', in: 6, out: 4, quarantined: 2, faults: { input: 1, one: 1 } },
            { name: 'sum', in: 4, out: 3, quarantined: 1, faults: { positive: 1 } },
            { name: 'again', in: 3, out: 3, quarantined: 0 },
          ],
          handovers: [{ given: [{ part: { records: 4 } }], taken: { records: 1 } }],
        });
        expect(manifest.shards.map(({ index, part }) => [index, part.records])).toEqual([
          [0, 0],
          [1, 3],
        ]);
        const [version] = deployed.objects('versions/');
        const control = host.functions.get(
          deployed.rendered.functions.find(({ handler }) => handler.endsWith('control'))!.arn,
        )!;
        const asked = { version: version!.slice('versions/'.length, -'.json'.length) };
        expect(await control({ action: 'quarantine', ...asked })).toMatchObject({
          total: 3,
          records: [
            { file: 'a.jsonl', stage: 'check', rule: 'input' },
            { file: 'b.jsonl', stage: 'check', rule: 'one' },
            { file: 'part-00000.json', stage: 'sum', rule: 'positive' },
          ],
        });
        await expect(control({ action: 'redrive', ...asked })).rejects.toThrow(
          'the pipeline sums cannot redrive: what the Glue job of its stage "sum" made of which record is not known',
        );
        expect(deployed.objects('staging/')).toEqual([]);
      }, 180_000);

      it('starts no job on what is held', async () => {
        const before = started();
        deployed.land('a.jsonl', orders([1, 2, 3], String));
        const { execution, states } = await deployed.run();
        expect(execution).toMatchObject({
          error: 'VersionHeld',
          cause: expect.stringContaining('3 of 5 records are at fault'),
        });
        expect(states.at(-1)).toBe('Held');
        expect(started()).toBe(before);
      }, 120_000);

      it('publishes nothing of a job that gave nothing', async () => {
        deployed.land('a.jsonl', orders([1]));
        host.jobs.set('sum-job', () => Promise.resolve());
        expect((await deployed.run()).execution).toMatchObject({
          error: 'VersionHeld',
          cause: expect.stringContaining('the Glue job gave no record'),
        });
      }, 120_000);
    });
  },
);

interface ManifestPart {
  readonly shards: { readonly index: number; readonly part: { readonly records: number } }[];
}

/** The only version's manifest. */
function manifestIn(deployed: Deployment): ManifestPart {
  const [key] = deployed.objects('versions/');
  return JSON.parse(deployed.object(key!)) as ManifestPart;
}
