import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { SERVICE_ENVIRONMENT } from '../../../bin/start/function-definition';
import type { LambdaFunction } from '../../../bin/start/lambda-runtime';
import { type LocalAccount, openAccount } from '../../../bin/start/local-account';
import { ScheduledCalls, schedulesOf } from '../../../bin/start/resources/schedules';
import type { Template } from '../../../bin/start/template';
import { Bucket } from '../../../lambda/aws/bucket';
import { Queue } from '../../../lambda/aws/queue';
import { Secret } from '../../../lambda/aws/secret';
import { type AwsService, awsService } from '../../../lambda/aws/service';
import { Table } from '../../../lambda/aws/table';
import { hasMoto, type MotoServer, startMoto } from '../../lambda/moto-server';
import { TEMPLATE } from './template';

interface SqsEvent {
  readonly Records: readonly {
    readonly messageId: string;
    readonly body: string;
    readonly attributes: Readonly<Record<string, string>>;
    readonly messageAttributes: object;
    readonly eventSource: string;
    readonly eventSourceARN: string;
  }[];
}

function functionOf(invoke: (event: SqsEvent) => unknown): Map<string, LambdaFunction> {
  const lambda = {
    invoke: async (event: unknown) => Promise.resolve(invoke(event as SqsEvent)),
    invokeStreaming: () => {
      throw new Error('not called by queues');
    },
  };
  return new Map([['Worker', lambda]]);
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('it did not come to be');
    await pause(10);
  }
}

const RUNS: readonly (readonly [string, boolean])[] = [
  ['in this process', false],
  ...(hasMoto ? ([['at an emulator', true]] as const) : []),
];

describe.each(RUNS)('the account of a local run, %s', (_, isAtEmulator) => {
  let moto: MotoServer | undefined;
  let account: LocalAccount;
  const warnings: string[] = [];

  async function open(): Promise<void> {
    moto = isAtEmulator ? await startMoto() : undefined;
    account = await openAccount(TEMPLATE, moto?.environment.AWS_ENDPOINT_URL);
    warnings.length = 0;
  }
  const service = (name: Parameters<typeof awsService>[1]): AwsService =>
    awsService({ ...SERVICE_ENVIRONMENT, ...account.endpoints }, name, 10_000);
  const queue = (id: string) => new Queue(service('sqs'), account.resolve({ Ref: id })!);
  const arnOf = (id: string) => account.resolve({ 'Fn::GetAtt': [id, 'Arn'] });
  const warn = (text: string) => void warnings.push(text);

  afterEach(async () => {
    await account.idle();
    await account.close();
    await moto?.close();
  });

  it('has what the template declares, and knows it by the names that functions are given', async () => {
    await open();
    const bucket = new Bucket(service('s3'), account.resolve({ Ref: 'Files' })!);
    expect(await bucket.put('k', 'v', { onlyIfAbsent: true })).toBe('written');
    const books = new Table(service('dynamodb'), account.resolve({ Ref: 'Books' })!);
    await books.put({ pk: 'a', sk: 'b', n: 1 });
    expect(await books.get({ pk: 'a', sk: 'b' })).toEqual({ pk: 'a', sk: 'b', n: 1 });
    expect(await new Secret(service('secretsmanager'), account.resolve({ Ref: 'Secret' })!).value()).toMatch(
      /^.{32,}$/,
    );
    await account.writeKeys([{ keyHash: 'h', tenant: 'acme', plan: 'standard' }]);
    const keys = new Table(service('dynamodb'), account.resolve({ Ref: 'Keys' })!);
    expect(await keys.get({ keyHash: 'h' })).toEqual({ keyHash: 'h', tenant: 'acme', plan: 'standard' });
    const attributes = await queue('Work').attributes(['VisibilityTimeout', 'RedrivePolicy']);
    expect(attributes.VisibilityTimeout).toBe('1');
    expect(JSON.parse(attributes.RedrivePolicy!)).toEqual({ deadLetterTargetArn: arnOf('Dead'), maxReceiveCount: 2 });
    expect(account.functionIds).toEqual(['Worker', 'Worker']);
    expect(account.resolve({ 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':x']] })).toBe('arn:aws:x');
    expect(account.resolve({ Ref: 'Elsewhere' })).toBeUndefined();
  }, 60_000);

  it('hands messages to the function in batches, never more at one time than the template says', async () => {
    await open();
    const seen: string[] = [];
    let [running, most] = [0, 0];
    let first: SqsEvent['Records'][number] | undefined;
    await queue('Work').send(
      Array.from({ length: 30 }, (_unused, i) => ({ body: `m${i}`, group: 'acme', attributes: { reason: 'why' } })),
    );
    account.begin(
      functionOf(async ({ Records }) => {
        running += 1;
        most = Math.max(most, running);
        expect(Records.length).toBeLessThanOrEqual(4);
        first ??= Records[0];
        seen.push(...Records.map(({ body }) => body));
        await pause(50);
        running -= 1;
        return { batchItemFailures: [] };
      }),
      warn,
    );
    await until(() => seen.length >= 30);
    await account.idle();
    expect(new Set(seen).size).toBe(30);
    expect(most).toBe(2);
    expect(first).toMatchObject({
      attributes: {
        ApproximateReceiveCount: '1',
        MessageGroupId: 'acme',
        SentTimestamp: expect.stringMatching(/^\d{13}$/),
      },
      messageAttributes: { reason: { stringValue: 'why', dataType: 'String' } },
      eventSource: 'aws:sqs',
      eventSourceARN: arnOf('Work'),
    });
    const left = await queue('Work').attributes([
      'ApproximateNumberOfMessages',
      'ApproximateNumberOfMessagesNotVisible',
    ]);
    expect(Object.values(left)).toEqual(['0', '0']);
    expect(warnings).toEqual([]);
  }, 60_000);

  it('gives back what failed, and sets it aside when it has failed too often', async () => {
    await open();
    const receipts = new Map<string, number>();
    await queue('Work').send(['good', 'bad', 'dies'].map((body) => ({ body })));
    account.begin(
      functionOf(({ Records }) => {
        for (const { body } of Records) receipts.set(body, (receipts.get(body) ?? 0) + 1);
        if (Records.length === 1 && Records[0]!.body === 'dies') throw new Error('the worker died');
        return {
          batchItemFailures: Records.filter(({ body }) => body !== 'good').map((r) => ({
            itemIdentifier: r.messageId,
          })),
        };
      }),
      warn,
    );
    const dead: string[] = [];
    await until(() => (receipts.get('bad') ?? 0) >= 2 && (receipts.get('dies') ?? 0) >= 2);
    const deadline = Date.now() + 10_000;
    while (dead.length < 2 && Date.now() < deadline) {
      dead.push(...(await queue('Dead').receive({ waitSeconds: 1 })).map(({ body }) => body));
    }
    expect(dead.sort()).toEqual(['bad', 'dies']);
    expect(Object.fromEntries(receipts)).toEqual({ good: 1, bad: 2, dies: 2 });
  }, 60_000);

  it('gives all of a batch back where its function throws, or names a message that it was not given', async () => {
    await open();
    let calls = 0;
    await queue('Work').send([{ body: 'a' }]);
    account.begin(
      functionOf(({ Records: [record] }) => {
        calls += 1;
        if (calls === 1) throw new Error('out of order');
        expect(record!.attributes.ApproximateReceiveCount).toBe('2');
        return { batchItemFailures: [{ itemIdentifier: 'of nobody' }] };
      }),
      warn,
    );
    await until(() => calls === 2);
    await until(() => warnings.length > 0);
    expect(warnings).toEqual(['Worker: out of order']);
    const dead: string[] = [];
    const deadline = Date.now() + 10_000;
    while (dead.length < 1 && Date.now() < deadline) {
      dead.push(...(await queue('Dead').receive({ waitSeconds: 1 })).map(({ body }) => body));
    }
    expect(dead).toEqual(['a']);
  }, 60_000);
});

describe('an address without an emulator', () => {
  it('is refused with what is wrong with it', async () => {
    await expect(openAccount(TEMPLATE, 'http://127.0.0.1:1')).rejects.toThrow(
      /--aws-endpoint http:\/\/127.0.0.1:1 does not answer: /,
    );
  });
});

describe('schedules', () => {
  it('call their function every so often, with the event that EventBridge sends', async () => {
    jest.useFakeTimers();
    try {
      const events: unknown[] = [];
      const [schedule] = schedulesOf(TEMPLATE);
      const calls = new ScheduledCalls(
        schedule!,
        functionOf((event) => events.push(event)).get('Worker')!,
        () => undefined,
      );
      await jest.advanceTimersByTimeAsync(299_999);
      expect(events).toHaveLength(0);
      await jest.advanceTimersByTimeAsync(300_001);
      expect(events).toMatchObject([
        { source: 'aws.events' },
        { source: 'aws.events', 'detail-type': 'Scheduled Event' },
      ]);
      await calls.close();
      await jest.advanceTimersByTimeAsync(600_000);
      expect(events).toHaveLength(2);
    } finally {
      jest.useRealTimers();
    }
  });

  it('are read of rules and of the scheduler, with their input, unless they are off or follow a pattern', () => {
    const target = { Arn: { 'Fn::GetAtt': ['Worker', 'Arn'] }, Input: '{"a":1}' };
    const template = (resources: Record<string, object>): Template => ({
      Resources: { Worker: { Type: 'AWS::Lambda::Function' }, ...(resources as Template['Resources']) },
    });
    const rule = (properties: object) => ({
      Type: 'AWS::Events::Rule',
      Properties: { Targets: [target], ...properties },
    });
    expect(
      schedulesOf(
        template({
          On: { Type: 'AWS::Scheduler::Schedule', Properties: { ScheduleExpression: 'rate(1 hour)', Target: target } },
          Off: rule({ ScheduleExpression: 'rate(1 hour)', State: 'DISABLED' }),
          Pattern: rule({ EventPattern: { source: ['x'] } }),
        }),
      ),
    ).toEqual([{ id: 'On', functionId: 'Worker', everyMs: 3_600_000, input: { a: 1 } }]);
    const machine = { Machine: { Type: 'AWS::StepFunctions::StateMachine' } };
    const nightly = rule({
      ScheduleExpression: 'cron(0 3 * * ? *)',
      Targets: [{ Arn: { Ref: 'Machine' }, Id: 'Run' }],
    });
    expect(schedulesOf(template({ Nightly: nightly, ...machine }))).toEqual([]);
    expect(() => schedulesOf(template({ Noon: rule({ ScheduleExpression: 'cron(0 12 * * ? *)' }) }))).toThrow(
      'Noon: a local run knows schedules such as rate(5 minutes), got "cron(0 12 * * ? *)"',
    );
  });
});
