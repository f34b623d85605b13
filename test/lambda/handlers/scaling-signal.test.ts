import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import Valkey from 'ioredis';
import type { ScaledFleet } from '../../../lambda/auto-scaling/scaled-fleet';
import { describeEachStore } from '../../store-servers';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';

const run = promisify(execFile);
const HANDLER = pathToFileURL(resolve(__dirname, '../../../dist/handlers/scaling-signal/index.mjs')).href;

/** Runs the built handler once, with so little time left that it makes one round. */
const INVOKE = `
  const { handler } = await import(process.argv[1]);
  const context = { getRemainingTimeInMillis: () => 9000 };
  const failure = await handler({}, context).then(() => null, (error) => error.message);
  setImmediate(() => process.stdout.write(JSON.stringify({ failure }), () => process.exit()));`;

const DIMENSIONS = { Fleet: 'fleet-1' };
const gauge = (metric: string) => ({ namespace: 'Gpu', metric, dimensions: DIMENSIONS, statistic: 'Average' });
const FLEET: ScaledFleet = {
  ...{ backend: 'gpu', group: 'gpu-group' },
  rating: { tokensPerInstance: 1000, jobsPerSecond: 2, drainSeconds: 10, kvCacheTarget: 80, gpuTarget: 70 },
  gpu: { ...gauge('gpu'), periodSeconds: 10 },
  kvCache: { ...gauge('kv'), periodSeconds: 10, factor: 100 },
};
const OLDEST_JOB = {
  ...{ namespace: 'AWS/SQS', metric: 'ApproximateAgeOfOldestMessage', dimensions: { QueueName: 'jobs' } },
  ...{ statistic: 'Maximum', periodSeconds: 60 },
};

/** Three instances in service, and a group that is none of its business. */
const ACCOUNT = `
template = dict(ImageId='ami-12345678', InstanceType='t3.micro')
aws('ec2').create_launch_template(LaunchTemplateName='gpus', LaunchTemplateData=template)
zones = ['eu-west-1a']
aws('autoscaling').create_auto_scaling_group(AutoScalingGroupName='gpu-group', AvailabilityZones=zones,
  LaunchTemplate=dict(LaunchTemplateName='gpus'), MinSize=0, MaxSize=9, DesiredCapacity=3)
aws('autoscaling').create_auto_scaling_group(AutoScalingGroupName='other-group', AvailabilityZones=zones,
  LaunchTemplate=dict(LaunchTemplateName='gpus'), MinSize=0, MaxSize=9, DesiredCapacity=5)
url = aws('sqs').create_queue(QueueName='jobs')['QueueUrl']
for i in range(10): aws('sqs').send_message_batch(QueueUrl=url,
  Entries=[dict(Id=str(j), MessageBody='job') for j in range(10)])
print(json.dumps(url))`;

const PUT_GAUGES = (gpu: number, kv: number, secondsAgo: number) => `
at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=${secondsAgo})
dimensions = [dict(Name='Fleet', Value='fleet-1')]
data = [dict(MetricName=n, Dimensions=dimensions, Timestamp=at, Value=v, StorageResolution=1)
  for n, v in dict(gpu=${gpu}, kv=${kv}).items()]
aws('cloudwatch').put_metric_data(Namespace='Gpu', MetricData=data)`;

/** What the handler has published, newest last. */
const PUBLISHED = `
now = datetime.datetime.now(datetime.timezone.utc)
def newest(name):
  found = aws('cloudwatch').get_metric_statistics(Namespace='Scaling', MetricName=name, Statistics=['Maximum', 'SampleCount'],
    Dimensions=[dict(Name='Group', Value='gpu-group')], Period=60,
    StartTime=now - datetime.timedelta(minutes=10), EndTime=now + datetime.timedelta(minutes=1))['Datapoints']
  return dict(most=max(p['Maximum'] for p in found), count=sum(p['SampleCount'] for p in found), unit=found[0]['Unit'])
print(json.dumps({n: newest(n) for n in ['FleetLoad', 'FleetLoadWithoutOne', 'FleetDemand']}))`;

interface Line {
  readonly level: string;
  readonly message: string;
  readonly load?: number;
  readonly decidedBy?: string;
  readonly reading?: Record<string, unknown>;
}

if (!hasMoto) {
  it.skip('the scaling signal against moto: python3 lacks moto, install it by python3 -m pip install "moto[server]"', () => {
    throw new Error('unreachable');
  });
} else {
  describeEachStore('the built scaling signal, against moto', (storeUrl) => {
    let moto: MotoServer;
    let store: Valkey;
    let queueUrl: string;

    beforeAll(async () => {
      moto = await startMoto();
      store = new Valkey(storeUrl());
      queueUrl = moto.python(ACCOUNT) as string;
    }, 90_000);
    afterAll(async () => {
      store.disconnect();
      await moto.close();
    });

    async function signal(change: Record<string, string> = {}) {
      const environment = {
        ...moto.environment,
        STORE_URL: storeUrl(),
        STORE_TIMEOUT_MS: '2000',
        STORE_CONNECT_TIMEOUT_MS: '2000',
        METRICS_NAMESPACE: 'Scaling',
        FLEETS: JSON.stringify([FLEET]),
        QUEUE_URL: queueUrl,
        OLDEST_JOB: JSON.stringify(OLDEST_JOB),
        ...change,
      };
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', INVOKE, HANDLER], {
        env: environment,
      });
      const lines = stdout.trim().split('\n');
      const { failure } = JSON.parse(lines.pop()!) as { failure: string | null };
      const told = lines.map((line) => JSON.parse(line) as Line);
      return {
        failure,
        load: told.find(({ message }) => message.startsWith('fleet load')),
        warned: told.filter(({ reading, level }) => level === 'warn' && !reading).map(({ message }) => message),
      };
    }

    it('reads tokens, jobs, gauges and instances, and publishes what they make', async () => {
      await store.hset('load:{gpu}', { total: '2400', weights: '1', check: String(Date.now() + 60_000) });
      moto.python(PUT_GAUGES(60, 0.2, 15));
      const { failure, load, warned } = await signal();
      expect({ failure, warned }).toEqual({ failure: null, warned: [] });
      expect(load).toMatchObject({
        ...{ level: 'info', Backend: 'gpu', decidedBy: 'jobs', instances: 5 },
        reading: {
          tokens: { value: 2400 },
          jobs: { value: 100 },
          gpu: { value: 60 },
          kvCache: { value: 20 },
          capacity: { inService: 3, pending: 0 },
        },
      });
      const value = (most: number, unit: string) => ({ most: expect.closeTo(most, 3), count: 1, unit });
      expect(moto.python(PUBLISHED)).toEqual({
        FleetLoad: value((100 * 4.95) / 3, 'Percent'),
        FleetLoadWithoutOne: value((100 * 4.95) / 2, 'Percent'),
        FleetDemand: value(5, 'Count'),
      });
    });

    it('forgets tokens that crashed functions left in the store', async () => {
      const ended = Date.now() - 5000;
      await store.del('load:{gpu}');
      await store.hset('load:{gpu}', {
        ...{ total: '90100', weights: '1', check: String(ended), 't:acme': '90100' },
        'r:crashed': `90000:1:${ended}:acme`,
        'r:running': `100:1:${Date.now() + 60_000}:acme`,
      });
      expect((await signal()).load).toMatchObject({ reading: { tokens: { value: 100 } } });
    });

    it('tells the gateway how much a rated fleet has room for, and sees what that turned away', async () => {
      const rated = { FLEETS: JSON.stringify([{ ...FLEET, rating: { ...FLEET.rating, overload: 'turnsAway' } }]) };
      await store.del('room:{gpu}');
      expect((await signal()).load!.reading).not.toHaveProperty('flow');
      expect(await store.exists('room:{gpu}')).toBe(0);
      await signal(rated);
      expect(await store.hget('room:{gpu}', 'tokens')).toBe('2760');
      await store.hincrby('room:{gpu}', 'turned_away', 70);
      expect((await signal(rated)).load).toMatchObject({ reading: { flow: { letIn: 0, turnedAway: 70 } } });
    });

    it('takes stale gauges for missing, and says nothing where it has no others', async () => {
      const dimensions = { Fleet: 'fleet-2' };
      const fleet = { ...FLEET, gpu: { ...FLEET.gpu, dimensions }, kvCache: { ...FLEET.kvCache, dimensions } };
      const blind = { FLEETS: JSON.stringify([fleet]), STORE_URL: 'redis://127.0.0.1:1', QUEUE_URL: '' };
      moto.python(PUT_GAUGES(99, 0.99, 200).replaceAll('fleet-1', 'fleet-2'));
      expect((await signal(blind)).load).toMatchObject({
        ...{ level: 'warn', message: 'fleet load unknown' },
        reading: { gpu: { value: 99 }, kvCache: { value: 99 } },
      });
      moto.python(PUT_GAUGES(77, 0.1, 5).replaceAll('fleet-1', 'fleet-2'));
      expect((await signal(blind)).load).toMatchObject({ wanted: 3, decidedBy: 'gpu', guard: 'gpuBusy' });
    });

    it('goes by tokens and gauges where the queue is gone', async () => {
      await store.hset('load:{gpu}', { total: '2400', weights: '1', check: String(Date.now() + 60_000) });
      const { failure, load, warned } = await signal({ QUEUE_URL: queueUrl.replace(/jobs$/, 'gone') });
      expect({ failure, warned }).toEqual({ failure: null, warned: ['queue'] });
      expect(load).toMatchObject({ decidedBy: 'tokens' });
    });

    it('goes by gauges where the store is gone and there is no queue', async () => {
      moto.python(PUT_GAUGES(60, 0.9, 5));
      const { failure, load, warned } = await signal({ QUEUE_URL: '', STORE_URL: 'redis://127.0.0.1:1' });
      expect(failure).toBeNull();
      expect(new Set(warned)).toEqual(new Set(['store']));
      expect(load).toMatchObject({ instances: expect.closeTo(3.375, 3), wanted: 4, decidedBy: 'kvCache' });
    });

    it('publishes nothing of a group that is not there, and says so', async () => {
      const { failure, load, warned } = await signal({ FLEETS: JSON.stringify([{ ...FLEET, group: 'gone' }]) });
      expect({ failure, warned }).toEqual({ failure: null, warned: ['group gone'] });
      expect(load).toMatchObject({ level: 'warn', message: 'fleet load unknown' });
    });

    it('fails, for the alarm to hear, where it cannot publish', async () => {
      const { failure, warned } = await signal({ AWS_ENDPOINT_URL_CLOUDWATCH: 'http://127.0.0.1:1' });
      expect(failure).toContain('ECONNREFUSED');
      expect(warned).toEqual(['metrics', 'round']);
    });
  });
}
