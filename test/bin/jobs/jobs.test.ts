import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Queue } from '../../../lambda/aws/queue';
import { awsService } from '../../../lambda/aws/service';
import { Table } from '../../../lambda/aws/table';
import { keyOf } from '../../../lambda/batch-store/rows';
import { deadLetterQueue } from '../../../lambda/batch-store/queues';
import type { ItemMessage } from '../../../lambda/queueing/item';
import { hasMoto, type MotoServer, startMoto } from '../../lambda/moto-server';

const CLI = resolve(__dirname, '../../../dist/bin/cli.js');

const item = (changes: Partial<ItemMessage>): ItemMessage => ({
  ...{
    v: 1,
    tenant: 'acme',
    plan: 'standard',
    batchId: 'batch_a',
    line: 1,
    input: 'files/acme/f',
    offset: 0,
    length: 9,
  },
  ...changes,
});

(hasMoto ? describe : describe.skip)('the jobs commands', () => {
  let moto: MotoServer;
  let urls: { work: string; dead: string };
  let dead: Queue;
  let work: Queue;
  let runs = 0;

  beforeAll(async () => {
    moto = await startMoto();
  }, 60_000);
  afterAll(async () => {
    await moto.close();
  });

  beforeEach(async () => {
    runs += 1;
    urls = moto.python(`
dead = aws('sqs').create_queue(QueueName='dead-${runs}')['QueueUrl']
arn = aws('sqs').get_queue_attributes(QueueUrl=dead, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
work = aws('sqs').create_queue(QueueName='work-${runs}', Attributes={'RedrivePolicy': json.dumps({'deadLetterTargetArn': arn, 'maxReceiveCount': '100'})})['QueueUrl']
aws('dynamodb').create_table(TableName='books-${runs}', BillingMode='PAY_PER_REQUEST',
  AttributeDefinitions=[{'AttributeName': 'pk', 'AttributeType': 'S'}, {'AttributeName': 'sk', 'AttributeType': 'S'}],
  KeySchema=[{'AttributeName': 'pk', 'KeyType': 'HASH'}, {'AttributeName': 'sk', 'KeyType': 'RANGE'}])
print(json.dumps({'work': work, 'dead': dead}))`) as typeof urls;
    const sqs = awsService(moto.environment, 'sqs', 10_000);
    [dead, work] = [new Queue(sqs, urls.dead), new Queue(sqs, urls.work)];
    const letters = deadLetterQueue(dead);
    for (let line = 1; line <= 12; line++)
      await letters.send(item({ line, failures: 19, deferrals: 40 }), 'backend_failed');
    await letters.send(item({ batchId: 'batch_b', tenant: 'globex' }), 'worker_crashed');
    await letters.send({ text: 'no message' }, 'unreadable');
    // As SQS moves it: without a reason.
    await dead.send([{ body: JSON.stringify(item({ batchId: 'batch_c' })) }]);
  });

  const run = async (...args: string[]) => {
    const { AWS_ENDPOINT_URL: endpoint, ...environment } = moto.environment;
    const place = args.includes('--stack') ? [] : ['--queue-url', urls.work];
    const all = ['jobs', ...args, ...place, '--aws-endpoint', endpoint!];
    const child = spawn(process.execPath, [CLI, ...all], { env: environment });
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect(errors).toBe('');
    return output.split('\n').map((line) => line.trim().replace(/ {2,}/g, ' | '));
  };
  const left = async (queue: Queue) =>
    Number((await queue.attributes(['ApproximateNumberOfMessages'])).ApproximateNumberOfMessages);

  it('list what is dead, and why, and leave all of it', async () => {
    const lines = await run('list');
    expect(lines.slice(0, 2)).toEqual([
      'tenant | batch or job | reason | letters | oldest',
      expect.stringMatching(/^acme \| batch_a \| backend_failed \| 12 \| \d+\.\d s$/),
    ]);
    expect(lines.join('\n')).toMatch(/globex \| batch_b \| worker_crashed \| 1 /);
    expect(lines.join('\n')).toMatch(/- \| - \| unreadable \| 1 /);
    expect(lines.join('\n')).toMatch(/acme \| batch_c \| received_too_often \| 1 /);
    expect(lines.at(-2)).toBe('15 of 15 dead letters.');
    expect([await left(dead), await left(work)]).toEqual([15, 0]);
    expect((await run('list', '--tenant', 'globex')).slice(1)).toEqual([
      expect.stringContaining('batch_b'),
      ...['', '1 of 15 dead letters.', ''],
    ]);
  }, 60_000);

  it('find queues and books by the outputs of a stack', async () => {
    const outputs = { WorkQueueUrl: { Value: urls.work }, BatchTableName: { Value: `books-${runs}` } };
    const template = { Resources: { Topic: { Type: 'AWS::SNS::Topic' } }, Outputs: outputs };
    moto.python(
      `aws('cloudformation').create_stack(StackName='Platform-${runs}', TemplateBody=${JSON.stringify(JSON.stringify(template))})`,
    );
    const lines = await run('redrive', '--dry-run', '--stack', `Platform-${runs}`);
    expect(lines.join('\n')).toMatch(/acme \| batch_a \| .* \| left: its batch is no longer kept/);
    expect(lines.at(-2)).toMatch(/^0 of 15 dead letters would be sent back/);
  }, 60_000);

  it('say what a redrive would send back, and send none of it', async () => {
    const lines = await run('redrive', '--reason', 'backend_failed', '--dry-run');
    expect(lines[1]).toMatch(/acme \| batch_a \| backend_failed \| 12 \| .* \| would be sent back$/);
    expect(lines.at(-2)).toBe('12 of 15 dead letters would be sent back, 3 left.');
    expect([await left(dead), await left(work)]).toEqual([15, 0]);
  }, 60_000);

  it('send back those that are meant, with all their tries, each for its tenant', async () => {
    expect((await run('redrive', '--older-than', '1d')).at(-2)).toBe('0 of 15 dead letters sent back, 15 left.');
    const lines = await run('redrive', '--batch', 'batch_a', '--tenant', 'acme');
    expect(lines.at(-2)).toBe('12 of 15 dead letters sent back, 3 left.');
    expect([await left(dead), await left(work)]).toEqual([3, 12]);
    const messages = [...(await work.receive()), ...(await work.receive())];
    expect(messages.every(({ group }) => group === 'acme')).toBe(true);
    expect(messages.map(({ body }) => JSON.parse(body) as unknown)).toEqual(
      expect.arrayContaining([{ ...item({ line: 7 }), redriven: true }]),
    );
    // Whatever is readable, where nothing is asked for; the rest only by its name.
    expect((await run('redrive')).at(-2)).toBe('2 of 3 dead letters sent back, 1 left.');
    expect((await run('redrive', '--reason', 'unreadable')).at(-2)).toBe('1 of 1 dead letters sent back, 0 left.');
    expect(await run('redrive')).toEqual(['There are no dead letters.', '']);
  }, 60_000);

  it('leave letters of batches that want no more results, where they may read the books', async () => {
    const table = new Table(awsService(moto.environment, 'dynamodb', 10_000), `books-${runs}`);
    const batch = { status: 'completed', ending: 'completed', deadline: 4e9 };
    await table.put({ ...keyOf.work('acme', 'batch_a'), ...batch });
    await table.put({ ...keyOf.work('globex', 'batch_b'), ...batch, status: 'cancelled', ending: 'cancelled' });
    const lines = await run('redrive', '--table', `books-${runs}`);
    expect(lines.join('\n')).toMatch(/globex \| batch_b \| .* \| left: its batch is cancelled/);
    expect(lines.join('\n')).toMatch(/acme \| batch_c \| .* \| left: its batch is no longer kept/);
    expect(lines.at(-2)).toBe('12 of 15 dead letters sent back, 3 left, 2 of them since no worker would take them.');
  }, 60_000);
});
