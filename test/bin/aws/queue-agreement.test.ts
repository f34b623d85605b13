import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Queue, type ReceivedMessage } from '../../../lambda/aws/queue';
import { callJson } from '../../../lambda/aws/service';
import { agree, createQueue, describeAgreement, named, type Operation, outcomeOf } from './agreement';

/** A queue with its dead letters, and the newest receipt of each message that was received, by its text. */
interface Desk {
  readonly queue: Queue;
  readonly deadLetters: Queue;
  readonly held: Map<string, ReceivedMessage>;
}

const body = fc.constantFrom('a', 'b', 'c', 'd', 'é');
// Either nothing passes by itself, or all of it at once: the clocks of two servers never agree to the second.
const seconds = fc.constantFrom(0, 600);

const operation: fc.Arbitrary<Operation<Desk>> = fc.oneof(
  fc
    .uniqueArray(fc.record({ body, delaySeconds: seconds, group: fc.constantFrom(undefined, 'g', 'h') }), {
      maxLength: 3,
      selector: (message) => message.body,
    })
    .map((messages) =>
      named<Desk>(`send ${JSON.stringify(messages)}`, ({ queue }) =>
        queue.send(messages.map((message) => ({ ...message, attributes: { reason: message.body } }))),
      ),
    ),
  seconds.map((visibilitySeconds) =>
    named<Desk>(`receive all for ${visibilitySeconds} s`, async ({ queue, held }) => {
      const messages: ReceivedMessage[] = [];
      // All that are visible, since which come first is nobody's promise.
      const limit = visibilitySeconds === 0 ? 1 : 10;
      for (let i = 0; i < limit; i += 1) {
        const some = await queue.receive({ most: 10, visibilitySeconds });
        messages.push(...some);
        if (some.length === 0) break;
      }
      // What is visible again at once has no visibility to change; moto takes that all the same.
      for (const message of visibilitySeconds > 0 ? messages : []) held.set(message.body, message);
      return visibilitySeconds === 0 ? undefined : seen(messages);
    }),
  ),
  body.map((text) => named<Desk>(`remove ${text}`, ({ queue, held }) => queue.remove(receiptsOf(held, text)))),
  fc
    .tuple(body, seconds)
    .map(([text, later]) =>
      named<Desk>(`hold ${text} for ${later} s`, ({ queue, held }) =>
        queue.changeVisibility(receiptsOf(held, text).map((receipt) => ({ receipt, seconds: later }))),
      ),
    ),
  fc.constant(named<Desk>('read the dead letters', async ({ deadLetters }) => seen(await deadLetters.receive()))),
  fc.constant(
    named<Desk>('count', ({ queue }) =>
      queue.attributes(['ApproximateNumberOfMessagesDelayed', 'ApproximateNumberOfMessagesNotVisible', 'DelaySeconds']),
    ),
  ),
);

function receiptsOf(held: Map<string, ReceivedMessage>, text: string): string[] {
  const message = held.get(text);
  held.delete(text);
  return message ? [message.receipt] : [];
}

function seen(messages: readonly ReceivedMessage[]): unknown {
  const facts = messages.map(({ body: text, group, receiveCount, attributes }) => ({
    text,
    group,
    receiveCount,
    attributes,
  }));
  return facts.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

describeAgreement('the embedded queue', (servers) => {
  let queues = 0;

  it('does what moto does, whatever it is asked', async () => {
    let completed = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 25 }), async (operations) => {
        queues += 1;
        const desks = await Promise.all(
          servers()
            .services('sqs')
            .map(async (service): Promise<Desk> => {
              const deadLetters = new Queue(service, await createQueue(service, `dead${queues}`));
              const { QueueArn: arn } = await deadLetters.attributes(['QueueArn']);
              const url = await createQueue(service, `work${queues}`, {
                RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount: 2 }),
              });
              return { queue: new Queue(service, url), deadLetters, held: new Map() };
            }),
        );
        // To moto a receipt means nothing any more when its message is a dead letter; SQS takes it.
        const isNoMeasure = (code: string | undefined) => code === 'ReceiptHandleIsInvalid';
        if (await agree(operations, desks as [Desk, Desk], isNoMeasure)) completed += 1;
      }),
      { numRuns: 60, seed: 20261124 },
    );
    expect(completed).toBeGreaterThan(30);
  }, 120_000);

  it('answers with the digests that clients check', async () => {
    const answers = await Promise.all(
      servers()
        .services('sqs')
        .map(async (service) => {
          const { MessageId: _, ...answer } = (await callJson(service, 'AmazonSQS.SendMessage', {
            QueueUrl: await createQueue(service, 'digests'),
            MessageBody: 'ü',
            MessageAttributes: {
              b: { DataType: 'String', StringValue: 'é' },
              a: { DataType: 'Number', StringValue: '1.5' },
              c: { DataType: 'Binary', BinaryValue: Buffer.from([0, 200]).toString('base64') },
            },
          })) as Record<string, unknown>;
          return answer;
        }),
    );
    expect(answers[0]).toEqual(answers[1]);
  });

  it('refuses what moto refuses, by the same status', async () => {
    const [ours, theirs] = await Promise.all(
      servers()
        .services('sqs')
        .map(async (service) => {
          const url = await createQueue(service, 'refusing');
          const queue = new Queue(service, url);
          const calls = [
            new Queue(service, `${url}x`).receive(),
            queue.receive({ most: 11 }),
            queue.send([{ body: 'x', delaySeconds: 901 }]),
            queue.remove(['nonsense']),
          ];
          return (await Promise.all(calls.map(outcomeOf))).map((outcome) => (outcome as { failed?: string }).failed);
        }),
    );
    expect(ours).toEqual(['AwsError', 'AwsError', 'AwsError', 'AwsError']);
    expect(theirs).toEqual(ours);
  });
});
