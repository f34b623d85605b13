import { describe, expect, it } from '@jest/globals';
import OpenAI from 'openai';
import { parseControlMessage } from '../../../lambda/queueing/control-message';
import { notify, type NotifyPorts } from '../../../lambda/queueing/notify';
import {
  endEvent,
  nextCallIn,
  TOLD_WITHIN_SECONDS,
  webhookHeaders,
  webhookSecret,
} from '../../../lambda/queueing/webhook';
import { Memory } from './memory-books';

const nowSeconds = Math.floor(Date.now() / 1000);
const event = endEvent({ id: 'batch_x', status: 'completed', endedAt: nowSeconds });
const message = { v: 1, kind: 'notify', tenant: 'acme', batchId: 'batch_x', event, attempt: 0, due: 0 } as const;

describe('a webhook', () => {
  const client = new OpenAI({ apiKey: 'x' });
  const secret = webhookSecret('master', 'acme');
  const body = JSON.stringify(event);

  it('is taken by the official client of its tenant', async () => {
    const headers = webhookHeaders(event.id, body, secret, nowSeconds);
    const unwrapped = await client.webhooks.unwrap(body, headers, secret);
    expect(unwrapped).toMatchObject({ type: 'batch.completed', object: 'event', data: { id: 'batch_x' } });
  });

  it('is not taken with another tenant’s secret, another body or an old time', async () => {
    const headers = webhookHeaders(event.id, body, secret, nowSeconds);
    const refused = [
      () => client.webhooks.unwrap(body, headers, webhookSecret('master', 'other')),
      () => client.webhooks.unwrap(body, headers, webhookSecret('another master', 'acme')),
      () => client.webhooks.unwrap(`${body} `, headers, secret),
      () => client.webhooks.unwrap(body, webhookHeaders(event.id, body, secret, nowSeconds - 600), secret),
    ];
    for (const call of refused) await expect(call()).rejects.toThrow(/signature|too old/);
  });

  it('is tried again for a day, less and less often', () => {
    let age = 0;
    const delays: number[] = [];
    for (let delay = nextCallIn(1, age); delay !== undefined; delay = nextCallIn(delays.length + 1, age)) {
      delays.push(delay);
      age += delay;
    }
    expect(delays.slice(0, 4)).toEqual([5, 30, 120, 600]);
    expect(delays.every((delay, i) => i === 0 || delay >= delays[i - 1]!)).toBe(true);
    expect(age).toBeLessThanOrEqual(TOLD_WITHIN_SECONDS);
    expect(age + delays.at(-1)!).toBeGreaterThan(TOLD_WITHIN_SECONDS);
  });
});

describe('telling a tenant', () => {
  function told(call: NotifyPorts['call'], { due = 0, age = 0 } = {}) {
    const memory = new Memory();
    const delays: (number | undefined)[] = [];
    const control = {
      send: (sent: Parameters<typeof memory.control.send>[0], delay?: number) => {
        delays.push(delay);
        return memory.control.send(sent, delay);
      },
    };
    const ports: NotifyPorts = {
      ...{ call, control, addressOf: () => 'https://acme.example', master: () => Promise.resolve('master') },
      nowMs: () => (nowSeconds + age) * 1000,
    };
    return notify({ ...message, due }, ports).then((notified) => ({ notified, sent: memory.controls, delays }));
  }

  it('is over once the address has taken it', async () => {
    expect(await told(() => Promise.resolve(204))).toEqual({ notified: { kind: 'taken' }, sent: [], delays: [] });
  });

  it.each([
    ['refuses', () => Promise.resolve(500), 'status 500'],
    ['sends it elsewhere', () => Promise.resolve(302), 'status 302'],
    ['does not answer', () => Promise.reject(new Error('timeout')), 'timeout'],
  ])('is put off where the address %s', async (_, call, answer) => {
    const { notified, sent, delays } = await told(call);
    expect(notified).toEqual({ kind: 'again', answer });
    expect(sent).toMatchObject([{ kind: 'notify', attempt: 1, due: (nowSeconds + 5) * 1000, event }]);
    expect(delays).toEqual([5]);
  });

  it('waits in the queue as long as that can hold a message, and then again', async () => {
    const { notified, delays } = await told(() => Promise.reject(new Error('called')), {
      due: (nowSeconds + 3600) * 1000,
    });
    expect([notified.kind, delays]).toEqual(['waiting', [900]]);
  });

  it('is given up after a day', async () => {
    const { notified, sent } = await told(() => Promise.resolve(500), { age: TOLD_WITHIN_SECONDS });
    expect([notified.kind, sent]).toEqual(['given up', []]);
  });

  it('is nobody’s affair once the policy has no address of it any more', async () => {
    const memory = new Memory();
    const ports = { call: () => Promise.reject(new Error('called')), control: memory.control, nowMs: () => 0 };
    const none = { ...ports, addressOf: () => undefined, master: () => Promise.resolve('') };
    expect((await notify(message, none)).kind).toBe('nobody');
  });
});

describe('a control message', () => {
  it('is read as it was sent', () => {
    expect(parseControlMessage(JSON.stringify(message))).toEqual(message);
    const split = { v: 1, kind: 'split', tenant: 'acme', batchId: 'batch_x' };
    expect(parseControlMessage(JSON.stringify(split))).toEqual(split);
  });

  it.each([
    '',
    'x',
    '{}',
    '{"v":2}',
    '{"v":1,"kind":"split","tenant":"a"}',
    '{"v":1,"kind":"x","tenant":"a","batchId":"b"}',
  ])('is refused where it is none: %s', (text) => {
    expect(() => parseControlMessage(text)).toThrow();
  });
});
