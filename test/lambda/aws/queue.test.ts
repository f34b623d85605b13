import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Queue } from '../../../lambda/aws/queue';
import { Secret } from '../../../lambda/aws/secret';
import { awsService } from '../../../lambda/aws/service';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';
import { type ScriptedService, scriptedService } from './fixture';

(hasMoto ? describe : describe.skip)('a queue', () => {
  let moto: MotoServer;
  let queue: Queue;
  let names = 0;

  beforeAll(async () => {
    moto = await startMoto();
  }, 90_000);
  afterAll(() => moto.close());
  beforeEach(() => {
    names += 1;
    const made = `print(json.dumps(aws('sqs').create_queue(QueueName='work${names}')['QueueUrl']))`;
    queue = new Queue(awsService(moto.environment, 'sqs', 20_000), moto.python(made) as string);
  });

  async function drained(): Promise<string[]> {
    const bodies: string[] = [];
    for (let batch = await queue.receive(); batch.length > 0; batch = await queue.receive()) {
      bodies.push(...batch.map(({ body }) => body));
      await queue.remove(batch.map(({ receipt }) => receipt));
    }
    return bodies;
  }

  it('takes any number of messages and gives each back until it is removed', async () => {
    const bodies = Array.from({ length: 57 }, (_, i) => `message ${i}`);
    await queue.send(bodies.map((body) => ({ body })));
    await queue.send([]);
    expect(await queue.attributes(['ApproximateNumberOfMessages'])).toEqual({ ApproximateNumberOfMessages: '57' });
    expect((await drained()).sort()).toEqual(bodies.sort());
    expect(await queue.receive()).toEqual([]);
  });

  it('says of a message what it carries and how often it was received', async () => {
    const before = Date.now();
    await queue.send([{ body: 'ü', group: 'acme', attributes: { reason: 'tried too often', tenant: 'acme' } }]);
    const [message] = await queue.receive({ most: 1, visibilitySeconds: 30, waitSeconds: 1 });
    expect(message).toMatchObject({
      body: 'ü',
      group: 'acme',
      receiveCount: 1,
      attributes: { reason: 'tried too often', tenant: 'acme' },
    });
    expect(Math.abs(message!.sentAt - before)).toBeLessThan(10_000);
    expect(await queue.receive()).toEqual([]);
    await queue.changeVisibility([{ receipt: message!.receipt, seconds: 0 }]);
    const [again] = await queue.receive();
    expect(again).toMatchObject({ id: message!.id, receiveCount: 2 });
  });

  it('keeps a delayed message back', async () => {
    await queue.send([{ body: 'later', delaySeconds: 1 }, { body: 'now' }]);
    expect((await queue.receive()).map(({ body }) => body)).toEqual(['now']);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await queue.receive()).map(({ body }) => body)).toEqual(['later']);
  });

  it('sends messages of many bytes in smaller groups', async () => {
    const bodies = Array.from({ length: 5 }, (_, i) => String(i).repeat(100_000));
    await queue.send(bodies.map((body) => ({ body })));
    expect((await drained()).sort()).toEqual(bodies);
  });

  it('says what AWS says where it does not exist', async () => {
    const nobodys = new Queue(awsService(moto.environment, 'sqs', 5000), `${queue.url}nobodys`);
    await expect(nobodys.send([{ body: '' }])).rejects.toMatchObject({ name: 'AwsError', status: 400 });
    await expect(nobodys.receive()).rejects.toMatchObject({ status: 400 });
  });

  it('stands beside secrets, which are read once in five minutes', async () => {
    const arn = moto.python(
      "print(json.dumps(aws('secretsmanager').create_secret(Name='s', SecretString='first')['ARN']))",
    );
    let now = 0;
    const secret = new Secret(awsService(moto.environment, 'secretsmanager', 20_000), arn as string, () => now);
    expect(await Promise.all([secret.value(), secret.value()])).toEqual(['first', 'first']);
    moto.python("aws('secretsmanager').put_secret_value(SecretId='s', SecretString='second')");
    now = 299_999;
    expect(await secret.value()).toBe('first');
    now = 300_000;
    expect(await secret.value()).toBe('second');
  });
});

describe('a queue whose service falters', () => {
  let scripted: ScriptedService;
  let queue: Queue;
  const sent = () =>
    scripted.seen.map(({ body }) => {
      const { Entries } = JSON.parse(body) as { Entries: { Id: string; MessageBody: string }[] };
      return Entries.map(({ MessageBody }) => MessageBody);
    });
  const failed = (SenderFault: boolean, ...ids: string[]) =>
    JSON.stringify({ Failed: ids.map((Id) => ({ Id, SenderFault, Code: 'InternalError', Message: 'no luck' })) });

  beforeEach(async () => {
    scripted = await scriptedService('sqs');
    queue = new Queue(scripted.service, `${scripted.service.origin.href}1/work`);
  });
  afterEach(() => scripted.close());

  it('is sent again the entries that it did not take, and no others', async () => {
    scripted.answer = (response, _, number) => response.end(number === 1 ? failed(false, '0', '2') : '{}');
    await queue.send(['a', 'b', 'c'].map((body) => ({ body })));
    expect(sent()).toEqual([
      ['a', 'b', 'c'],
      ['a', 'c'],
    ]);
    expect(scripted.pauses).toEqual([50]);
  });

  it('fails where an entry is refused three times, or is at fault itself', async () => {
    scripted.answer = (response) => response.end(failed(false, '0'));
    await expect(queue.send([{ body: 'a' }, { body: 'b' }])).rejects.toThrow(
      'SendMessageBatch refused 1 of 1 entries: InternalError no luck',
    );
    expect(sent()).toEqual([['a', 'b'], ['a'], ['a']]);
    scripted.answer = (response) => response.end(failed(true, '0'));
    await expect(queue.send([{ body: 'c' }])).rejects.toMatchObject({ status: 400 });
    expect(scripted.seen).toHaveLength(4);
  });

  it('waits for messages beyond the time that other calls have', async () => {
    const slow = new Queue({ ...scripted.service, timeoutMs: 300, attempts: 1 }, queue.url);
    scripted.answer = (response) => setTimeout(() => response.end('{}'), 700);
    expect(await slow.receive({ waitSeconds: 1 })).toEqual([]);
    await expect(slow.receive()).rejects.toThrow('AmazonSQS.ReceiveMessage was not answered: timeout after 300 ms');
  });

  it('is asked again where no connection could be made, and says so in the end', async () => {
    await scripted.close();
    await expect(queue.receive()).rejects.toMatchObject({ code: 'NoAnswer', wasTurnedAway: true });
    expect(scripted.pauses).toHaveLength(2);
  });
});
