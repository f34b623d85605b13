import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { PipelineDefinition } from '../../lib';
import { hasMoto, type MotoServer, startMoto } from '../lambda/moto-server';
import { Deployment } from './deployed-machine';
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

const MANUAL: PipelineDefinition = {
  name: 'manual',
  stages: [
    { name: 'chunk', work: { chunk: {} } },
    { name: 'embed', work: { embed: { model: 'm', dimensions: 8 } } },
  ],
  retrieval: {},
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

    it('calls for the filling of an index until it is done, whoever asks for it, and goes on after a call that failed', async () => {
      const deployed = new Deployment(moto, host, 'Manual', () => ({
        definition: MANUAL,
        embeddingUrl: 'https://models.example.com/v1',
      }));
      const calls: { step: string; version?: string }[] = [];
      let parts = 0;
      let isCutOff = true;
      const answers: Record<string, (payload: { step: string }) => object> = {
        plan: () => ({ run: 'r', sequence: 0, plan: 'runs/r/plan.jsonl', shards: 0 }),
        audit: () => ({ version: 'v', isHeld: false, counts: {}, anomalies: [] }),
        publish: () => ({ outcome: 'published', version: 'v' }),
        fill: () => {
          if (parts === 1 && isCutOff) {
            isCutOff = false;
            throw Object.assign(new Error('The function timed out'), { name: 'Sandbox.Timedout' });
          }
          parts += 1;
          return { isFilled: parts % 3 === 0, parts, total: 3 };
        },
        index: () => ({ index: 'i', isSwitched: true, missed: 0 }),
        tidy: () => ({ gone: [] }),
      };
      const steps = deployed.rendered.functions.find(({ arn }) => arn.includes('Steps'))!.arn;
      host.functions.set(steps, (payload) => {
        const call = payload as { step: string };
        calls.push(call);
        return Promise.resolve(call).then(answers[call.step]);
      });
      const { execution, states } = await deployed.run();
      expect(execution).toMatchObject({ status: 'SUCCEEDED' });
      const filling = ['Fill', 'IsFilled', 'Fill', 'IsFilled', 'Fill', 'IsFilled'];
      expect(states.slice(states.indexOf('IsPublished'))).toEqual([
        ...['IsPublished', ...filling, 'Index', 'Tidy', 'IsSwitched', 'Done'],
      ]);
      expect(calls.filter(({ step }) => step === 'fill')).toHaveLength(4);

      calls.length = 0;
      const again = await deployed.run({ index: 'v' });
      expect(again.execution).toMatchObject({ status: 'SUCCEEDED' });
      expect(again.states).toEqual([
        ...['Begin', 'Asked', ...filling.map((name) => `${name}Again`), 'IndexAgain', 'IsSwitched', 'Done'],
      ]);
      expect(calls).toEqual(['fill', 'fill', 'fill', 'index'].map((step) => ({ step, version: 'v' })));
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
