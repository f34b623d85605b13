import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ClientConnection } from '../../../../lambda/gateway/client-connection';
import type { HttpEvent } from '../../../../lambda/gateway/http-event';
import type { ItemsReport } from '../../../../lambda/observability/items-line';
import type { RequestRecord } from '../../../../lambda/observability/request-record';
import type { ItemMessage } from '../../../../lambda/queueing/item';
import type { WorkerPorts } from '../../../../lambda/queueing/worker/ports';
import { Shift } from '../../../../lambda/queueing/worker/shift';
import { InMemoryBooks, InMemoryQueue } from './in-memory-books';

const NOW = 1_760_000_000_000;
const MINUTES_15 = 900_000;

/** What the gateway does with a request: answers with a status and a record's fields, or `never`. */
type Serve = (
  body: Record<string, unknown>,
  event: HttpEvent,
) => ({ readonly status: number; readonly body?: unknown } & Partial<RequestRecord>) | 'never';

const ANSWER = { object: 'chat.completion' };
const LIMITED = { status: 429, refusedBy: 'requests', body: { error: {} } };
const OPEN = { status: 503, errorCode: 'backend_unavailable', failedCalls: 0, retryAfterMs: 30_000 };
const BROKEN = { status: 503, errorCode: 'backend_unavailable', failedCalls: 2, body: { error: { code: 'x' } } };

describe('one invocation of a worker', () => {
  let now: number;
  let books: InMemoryBooks;
  let queue: InMemoryQueue;
  let faults: string[];
  let served: { body: Record<string, unknown>; event: HttpEvent; at: number }[];
  let reads: { input: string; offset: number; length: number }[];
  let inputs: Map<string, Buffer>;
  let timers: { at: number; callback: () => void }[];

  beforeEach(() => {
    now = NOW;
    books = new InMemoryBooks(() => now);
    queue = new InMemoryQueue();
    [faults, served, reads, timers] = [[], [], [], []];
    inputs = new Map();
  });

  /** Puts requests into an input, one a line, and gives their messages. */
  function batchOf(count: number, changes: Partial<ItemMessage> = {}, body: object = {}): ItemMessage[] {
    const { tenant = 'acme', batchId = 'batch_1' } = changes;
    const input = `files/${tenant}/${batchId}`;
    let text = '';
    const items = Array.from({ length: count }, (_, i): ItemMessage => {
      const request = {
        custom_id: `c${i + 1}`,
        method: 'POST',
        url: '/v1/chat/completions',
        body: { model: 'llama', messages: [{ role: 'user', content: `é ${i + 1}` }], ...body },
      };
      const line = JSON.stringify(request);
      const offset = Buffer.byteLength(text);
      text += `${line}\n`;
      const place = { line: i + 1, offset, length: Buffer.byteLength(line) };
      return { v: 1, tenant, plan: 'standard', batchId, input, ...place, ...changes };
    });
    inputs.set(input, Buffer.from(text));
    return items;
  }

  async function work(
    items: readonly (ItemMessage | string)[],
    serve: Serve = () => ({ status: 200, body: ANSWER }),
    { remainingMs = MINUTES_15, ...changes }: Partial<WorkerPorts> & { remainingMs?: number } = {},
  ): Promise<ItemsReport> {
    const ports: WorkerPorts = {
      desk: books,
      shelf: books,
      queue,
      deadLetters: queue.deadLetters,
      read: (input, offset, length) => {
        reads.push({ input, offset, length });
        return Promise.resolve(inputs.get(input)?.subarray(offset, offset + length));
      },
      serve: async (event: HttpEvent, client: ClientConnection) => {
        const body = JSON.parse(event.body!) as Record<string, unknown>;
        served.push({ body, event, at: now - NOW });
        const { requestId = '' } = event.requestContext;
        const record = { requestId, startedAt: now, durationMs: 1, priority: 'batch' } as const;
        const state = { status: 200, storeLost: false, hungUp: false };
        const answer = serve(body, event);
        if (answer === 'never') {
          await new Promise<void>((resolve) => {
            client.hungUp.addEventListener('abort', resolve);
          });
          return { ...record, ...state, status: 499, hungUp: true };
        }
        const { body: text, ...rest } = answer;
        client.start(answer.status, {});
        await client.end(JSON.stringify(text ?? {}));
        return { ...record, ...state, ...rest };
      },
      longestMs: () => 300_000,
      itemsAtOnce: 10,
      maxAttempts: 5,
      onFault: (error) => faults.push((error as Error).message),
      now: () => now,
      random: () => 0,
      pause: async (ms) => {
        await Promise.resolve();
        if (ms > 20) now += ms;
      },
      timer: (ms, callback) => {
        const timer = { at: now + ms, callback };
        timers.push(timer);
        return () => timers.splice(timers.indexOf(timer), 1);
      },
      newId: () => `id-${served.length}`,
      ...changes,
    };
    const messages = items.map((item, i) => ({
      id: `m${i + 1}`,
      text: typeof item === 'string' ? item : JSON.stringify(item),
    }));
    return new Shift(ports, remainingMs).work(messages);
  }

  it('answers each item with what the gateway says, reads neighbours at once, and leaves no message', async () => {
    const report = await work(batchOf(10));
    expect(report).toMatchObject({ kept: [], completed: 10, failed: 0, deferred: 0 });
    expect(report.seconds).toHaveLength(10);
    expect(reads).toHaveLength(1);
    expect(books.counts).toEqual({ completed: 10, failed: 0, skipped: 0 });
    expect(books.results.get('batch_1#7')).toMatchObject({
      custom_id: 'c7',
      response: { status_code: 200, body: ANSWER },
      error: null,
    });
    expect(served.find(({ body }) => JSON.stringify(body).includes('é 7'))!.event).toMatchObject({
      httpMethod: 'POST',
      path: '/v1/chat/completions',
      requestContext: { authorizer: { tenant: 'acme', plan: 'standard' } },
    });
    expect(queue.sent).toEqual([]);
    expect(timers).toEqual([]);
  });

  it('writes the result before it counts the item', async () => {
    await work(batchOf(1));
    expect(books.calls).toEqual(['claim', 'write', 'finish']);
  });

  it('keeps errors of the request itself as its result', async () => {
    const error = { error: { message: 'no such model', code: 'model_not_found' } };
    expect(await work(batchOf(1), () => ({ status: 404, body: error }))).toMatchObject({ failed: 1, buried: 0 });
    expect(books.results.get('batch_1#1')).toMatchObject({ response: { status_code: 404, body: error }, error: null });
    expect(queue.letters).toEqual([]);
  });

  it('asks for streams whole', async () => {
    await work(batchOf(1, {}, { stream: true, stream_options: { include_usage: true } }));
    expect(Object.keys(served[0]!.body)).toEqual(['model', 'messages']);
    await work(batchOf(1, { batchId: 'batch_2' }, { stream: false }));
    expect(served[1]!.body).toMatchObject({ stream: false });
  });

  it('waits out a short refusal, and answers', async () => {
    let asked = 0;
    const report = await work(batchOf(1), () => (asked++ < 2 ? { ...LIMITED, retryAfterMs: 1500 } : { status: 200 }));
    expect(report).toMatchObject({ completed: 1, deferred: 0 });
    expect(served.map(({ at }) => at)).toEqual([0, 1500, 3000]);
  });

  it('puts an item off whose refusals last, with a delay that grows, and burns neither receive nor attempt', async () => {
    const delays: number[] = [];
    let [item] = batchOf(1) as [ItemMessage];
    for (let i = 0; i < 12; i++) {
      expect(await work([item], () => ({ ...LIMITED, retryAfterMs: 6000 }))).toMatchObject({ kept: [], deferred: 1 });
      const { message, delaySeconds } = queue.sent.at(-1)!;
      delays.push(delaySeconds!);
      item = message;
    }
    // Half of 2, 4, 8 … 300 s at the least, and no less than what was told.
    expect(delays).toEqual([6, 6, 6, 8, 16, 32, 64, 128, 150, 150, 150, 150]);
    expect(item).toMatchObject({ deferrals: 12 });
    expect(item.failures).toBeUndefined();
    expect(books.items.get('batch_1#1')).toMatchObject({ state: 'free', attempts: 0 });
    expect(queue.letters).toEqual([]);
  });

  it('spreads what comes back, so that not all of it comes back at once', async () => {
    await work(batchOf(1), () => OPEN, { random: () => 0.999 });
    expect(queue.sent[0]!.delaySeconds).toBeGreaterThan(36);
    await work(batchOf(1), () => OPEN, { random: () => 0 });
    expect(queue.sent[1]!.delaySeconds).toBe(30);
  });

  it('asks once for a tenant and model that are refused, and puts their other items off', async () => {
    const items = [...batchOf(3), ...batchOf(1, { batchId: 'batch_2' }, { model: 'small' })];
    const other = batchOf(1, { tenant: 'globex', batchId: 'batch_3' });
    const report = await work(
      [...items, ...other],
      ({ model }, { requestContext }) =>
        model === 'llama' && requestContext.authorizer!.tenant === 'acme'
          ? { ...LIMITED, retryAfterMs: 60_000 }
          : { status: 200 },
      { itemsAtOnce: 1 },
    );
    expect(report).toMatchObject({ completed: 2, deferred: 3 });
    expect(served).toHaveLength(3);
    expect(queue.sent.map(({ delaySeconds }) => delaySeconds)).toEqual([60, 60, 60]);
  });

  it('lets an open breaker, a busy backend and a lost store cost nothing, however long they last', async () => {
    const unanswered = [OPEN, { status: 504, failedCalls: 0 }, { status: 503, errorCode: 'store_unavailable' }];
    for (const answer of unanswered) {
      const [item] = batchOf(1, { deferrals: 500, failures: 19 });
      expect(await work([item!], () => answer)).toMatchObject({ deferred: 1, buried: 0 });
      expect(queue.sent.at(-1)!.message).toMatchObject({ deferrals: 501, failures: 19 });
    }
    expect(served).toHaveLength(3);
  });

  it('puts an item off at which backends fail, and after twenty times sets it aside with what they said', async () => {
    let [item] = batchOf(1) as [ItemMessage];
    for (let i = 1; i < 20; i++) {
      await work([item], () => BROKEN);
      item = queue.sent.at(-1)!.message;
      expect(item.failures).toBe(i);
    }
    expect(await work([item], () => BROKEN)).toMatchObject({ failed: 1, buried: 1, deferred: 0 });
    expect(queue.letters).toMatchObject([{ message: { line: 1 }, reason: 'backend_failed' }]);
    expect(books.results.get('batch_1#1')!.response).toMatchObject({ status_code: 503, body: BROKEN.body });
    expect(books.counts.failed).toBe(1);
    const again = await work([{ ...item, redriven: true, failures: 0 }]);
    expect(again).toMatchObject({ completed: 1 });
    expect(books.results.get('batch_1#1')!.response!.status_code).toBe(200);
    expect(books.counts).toMatchObject({ completed: 1, failed: 0 });
  });

  it('runs an item once, however often it is delivered', async () => {
    const [item] = batchOf(1) as [ItemMessage];
    expect(await work([item, item, item])).toMatchObject({ kept: [], completed: 1, deferred: 0 });
    expect(await work([item])).toMatchObject({ kept: [], completed: 0, deferred: 0 });
    expect(served).toHaveLength(1);
  });

  it('leaves an item to the worker that has it, and comes back when that should be done', async () => {
    const [item] = batchOf(1, { deferrals: 3 }) as [ItemMessage];
    await books.claim([item], 45_000);
    expect(await work([item])).toMatchObject({ deferred: 1, completed: 0 });
    expect(queue.sent).toEqual([{ message: item, delaySeconds: 45 }]);
    expect(books.items.get('batch_1#1')).toMatchObject({ state: 'running', attempts: 1 });
  });

  it('does not compute again what a worker wrote before it died', async () => {
    const [item] = batchOf(1) as [ItemMessage];
    books.fault = (call) => {
      if (call === 'finish') throw new Error('no table');
    };
    await work([item]);
    expect([books.results.size, books.counts.completed]).toEqual([1, 0]);
    books.fault = () => undefined;
    expect(await work([queue.sent.at(-1)!.message])).toMatchObject({ completed: 1 });
    await books.claim([{ ...item, line: 2 }], 1);
    expect([served.length, books.writes.get('batch_1#1')]).toEqual([1, 1]);
    expect(faults).toEqual(['no table']);
  });

  it('runs an item whose worker died after the others, alone, so that it takes nobody along again', async () => {
    const items = batchOf(4);
    for (const line of [1, 3]) {
      await books.claim([items[line - 1]!], 60_000);
      books.crash(items[line - 1]!);
    }
    const running: number[] = [];
    const attempts: number[][] = [];
    await work(items, (body) => {
      const line = Number(/é (\d)/.exec(JSON.stringify(body))![1]);
      running.push(line);
      attempts.push([1, 3].map((n) => books.items.get(`batch_1#${n}`)!.attempts));
      return { status: 200 };
    });
    expect(running).toEqual([2, 4, 1, 3]);
    // Until it runs, a suspect holds no claim that its neighbour could cost it.
    expect(attempts).toEqual([
      [1, 1],
      [1, 1],
      [2, 1],
      [2, 2],
    ]);
    expect(books.counts.completed).toBe(4);
  });

  it('sets an item aside at which five workers died, with the reason, and lets it be redriven', async () => {
    const [item] = batchOf(1) as [ItemMessage];
    for (let i = 0; i < 5; i++) {
      await books.claim([item], 60_000);
      books.crash(item);
    }
    expect(await work([item])).toMatchObject({ buried: 1, failed: 1, completed: 0 });
    expect(served).toEqual([]);
    expect(queue.letters).toMatchObject([{ message: item, reason: 'worker_crashed' }]);
    expect(books.results.get('batch_1#1')).toMatchObject({
      custom_id: 'c1',
      response: null,
      error: { code: 'worker_crashed', message: 'The worker crashed at this request, 5 times.', line: 1 },
    });
    expect(await work([item])).toMatchObject({ completed: 0, deferred: 0 });
    expect(await work([{ ...item, redriven: true }])).toMatchObject({ completed: 1 });
    expect(books.counts).toEqual({ completed: 1, failed: 0, skipped: 0 });
  });

  it('finishes what its batch does not want any more, without a call', async () => {
    const [first, second] = batchOf(2) as [ItemMessage, ItemMessage];
    books.over = ({ line }) => (line === 1 ? 'cancelled' : 'expired');
    expect(await work([first, second])).toMatchObject({ skipped: 1, failed: 1 });
    expect(served).toEqual([]);
    expect(books.results.get('batch_1#1')).toBeUndefined();
    expect(books.results.get('batch_1#2')).toMatchObject({ custom_id: 'c2', error: { code: 'batch_expired' } });
  });

  it('moves what it cannot read to the dead letters, as it is', async () => {
    const unreadable = ['{', '[]', '{"v":2}', JSON.stringify({ ...batchOf(1)[0], offset: -1 })];
    expect(await work(unreadable)).toMatchObject({ kept: [], buried: 4 });
    expect(queue.letters).toEqual(unreadable.map((text) => ({ message: { text }, reason: 'unreadable' })));
  });

  it('tells of an input that is gone or was changed', async () => {
    const [first] = batchOf(1) as [ItemMessage];
    inputs.set(first.input, Buffer.from('x'.repeat(500)));
    await work([first]);
    expect(books.results.get('batch_1#1')!.error!.code).toBe('invalid_json_line');
    const [second] = batchOf(1, { batchId: 'batch_2' }) as [ItemMessage];
    inputs.clear();
    await work([second]);
    expect(books.results.get('batch_2#1')!.error!.code).toBe('input_removed');
  });

  it('breaks off what would outlast it, and gives back what it could not see the end of', async () => {
    const [long, short] = batchOf(2) as [ItemMessage, ItemMessage];
    const first = work([long], () => 'never');
    await new Promise((done) => setTimeout(done, 10));
    now += MINUTES_15 - 10_000;
    expect(timers.map(({ at }) => at)).toEqual([now]);
    timers[0]!.callback();
    expect(await first).toMatchObject({ deferred: 1 });
    expect(queue.sent[0]!.message).toMatchObject({ failures: 1 });
    now = NOW;
    let asked = 0;
    const second = await work(
      [short, long],
      () => {
        asked += 1;
        now += 700_000;
        return { status: 200 };
      },
      { itemsAtOnce: 1 },
    );
    expect(second).toMatchObject({ completed: 1, deferred: 1 });
    expect(asked).toBe(1);
    // As it came, at once, and with no attempt spent.
    expect(queue.sent[1]).toEqual({ message: expect.not.objectContaining({ deferrals: 1 }), delaySeconds: 0 });
    expect(['batch_1#1', 'batch_1#2'].map((key) => books.items.get(key)!.state)).toEqual(['done', 'free']);
  });

  it.each(['claim', 'write', 'finish', 'release'])('puts items off while %s fails, and loses none', async (call) => {
    const items = batchOf(3);
    books.fault = (name) => {
      if (name === call) throw new Error(`${call} fails`);
    };
    const limited: Serve = () => ({ ...LIMITED, retryAfterMs: 60_000 });
    const report = await work(items, call === 'release' ? limited : undefined);
    expect(report).toMatchObject({ kept: [], completed: 0, deferred: 3 });
    expect(new Set(faults)).toEqual(new Set([`${call} fails`]));
    expect(queue.sent.map(({ message }) => message.line).sort()).toEqual([1, 2, 3]);
    books.fault = () => undefined;
    now += MINUTES_15 + 10_000;
    await work(queue.sent.map(({ message }) => message));
    expect(books.counts.completed).toBe(3);
    expect([...books.writes.values()]).toEqual([1, 1, 1]);
  });

  it('asks for its messages once more where not even the queue takes them', async () => {
    const [limited, fine] = [batchOf(1), batchOf(1, { tenant: 'globex', batchId: 'batch_2' })].flat();
    queue.fault = () => {
      throw new Error('no queue');
    };
    const report = await work([limited!, fine!, '{'], (_, { requestContext }) =>
      requestContext.authorizer!.tenant === 'acme' ? { ...LIMITED, retryAfterMs: 60_000 } : { status: 200 },
    );
    expect([...report.kept].sort()).toEqual(['m1', 'm3']);
    expect(report).toMatchObject({ completed: 1, deferred: 0 });
  });
});
