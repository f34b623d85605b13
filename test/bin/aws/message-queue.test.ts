import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { IndexedHeap } from '../../../bin/start/aws/indexed-heap';
import { MessageQueue } from '../../../bin/start/aws/message-queue';

describe('a queue in memory', () => {
  let now = 0;
  const queue = (settings = {}) =>
    new MessageQueue('arn', { visibilityMs: 30_000, delayMs: 0, waitMs: 0, ...settings }, () => now);
  const send = (to: MessageQueue, body: string, group?: string, delayMs?: number) =>
    to.send({ id: body, body, group, attributes: undefined }, delayMs);
  const bodies = (from: MessageQueue, most: number) => from.receive(most).map(({ body }) => body);

  it('gives a quiet tenant its turn behind a backlog of another', () => {
    const fair = queue();
    for (let i = 0; i < 1000; i += 1) send(fair, `large ${i}`, 'large');
    expect(fair.receive(20).map(({ group }) => group)).toEqual(Array(20).fill('large'));
    for (let i = 0; i < 5; i += 1) send(fair, `small ${i}`, 'small');
    expect(bodies(fair, 5)).toEqual(['small 0', 'small 1', 'small 2', 'small 3', 'small 4']);
    expect(fair.receive(1)[0]!.group).toBe('large');
  });

  it('gives the oldest message first where nobody has more than a share', () => {
    const fair = queue();
    ['a', 'b', 'c', 'a', 'b'].forEach((group, i) => send(fair, String(i), group));
    expect(bodies(fair, 10).sort()).toEqual(['0', '1', '2', '3', '4']);
    const plain = queue();
    for (let i = 0; i < 20; i += 1) send(plain, String(i));
    expect(bodies(plain, 20)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
  });

  it('shows a message again when its time is over, and a delayed one when it is due', () => {
    now = 0;
    const timed = queue();
    send(timed, 'now');
    send(timed, 'later', undefined, 5000);
    expect(bodies(timed, 10)).toEqual(['now']);
    expect(timed.counts()).toEqual({ visible: 0, inFlight: 1, delayed: 1 });
    now = 5000;
    expect(bodies(timed, 10)).toEqual(['later']);
    now = 29_999;
    expect(bodies(timed, 10)).toEqual([]);
    now = 30_000;
    expect(bodies(timed, 10)).toEqual(['now']);
    now = 40_000;
    expect(timed.receive(10)).toMatchObject([{ body: 'later', receiveCount: 2 }]);
  });

  it('wakes who waits when a message is sent or becomes due, and stops where the receiver has gone', async () => {
    const live = new MessageQueue('arn', { visibilityMs: 30_000, delayMs: 0, waitMs: 0 }, Date.now);
    const started = Date.now();
    const gone = new AbortController();
    send(live, 'soon', undefined, 50);
    await live.waitForMessage(10_000, gone.signal);
    expect(bodies(live, 1)).toEqual(['soon']);
    setTimeout(() => send(live, 'sent'), 20);
    await live.waitForMessage(10_000, gone.signal);
    expect(bodies(live, 1)).toEqual(['sent']);
    setTimeout(() => gone.abort(), 20);
    await live.waitForMessage(10_000, gone.signal);
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('bears a million messages, in time that grows with their number alone', () => {
    now = 0;
    const large = queue();
    const round = (count: number) => {
      const started = performance.now();
      for (let i = 0; i < count; i += 1) send(large, 'x'.repeat(100), `tenant ${i % 50}`);
      for (let i = 0; i < count / 10; i += 1) {
        for (const { number, receiveCount } of large.receive(10)) large.remove(number, receiveCount);
      }
      return (performance.now() - started) / count;
    };
    round(20_000);
    const few = round(20_000);
    const many = round(1_000_000);
    expect(large.counts()).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
    // A logarithm of fifty times as many is 1.4 times as much; a queue that searched would take fifty times.
    expect(many).toBeLessThan(few * 10);
  }, 60_000);
});

describe('a heap whose items move', () => {
  it('gives the first of what is in it, whatever came and went', () => {
    const change = fc.record({ item: fc.nat(20), weight: fc.option(fc.nat(100), { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
        const weights = new Map<number, number>();
        const heap = new IndexedHeap<number>((a, b) => weights.get(a)! < weights.get(b)!);
        for (const { item, weight } of changes) {
          if (weight === undefined) {
            heap.delete(item);
            weights.delete(item);
          } else {
            weights.set(item, weight);
            heap.set(item);
          }
          expect(heap.size).toBe(weights.size);
          const first = heap.first();
          expect(first === undefined ? Infinity : weights.get(first)).toBe(Math.min(Infinity, ...weights.values()));
        }
      }),
      { seed: 20261124 },
    );
  });
});
