import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type OpenAI, toFile } from 'openai';
import type { ItemMessage } from '../../../lambda/queueing/item';
import { answeredLine } from '../../../lambda/queueing/result-line';
import { hasMoto } from '../moto-server';
import { answer, BatchAccount, chatLine, POLICY } from '../queueing/batch-account';
import { callsOf } from '../recorded-calls';

/** Nobody listens there. */
const WEBHOOK = { url: 'https://127.0.0.1:1/hooks' };

/** Calls that send what a split notes at once, ten lines each. */
const FLIGHT_CALLS = 20;

/** So many long lines are not put together at once. */
const MANY = 210;
const LONG = 15_800;

if (!hasMoto) {
  it.skip('calls of AWS by background work: python3 lacks moto, install it by python3 -m pip install "moto[server]"', () => {
    throw new Error('unreachable');
  });
} else {
  describe('what the functions of background work call of AWS where something is large, late or broken', () => {
    let account: BatchAccount;
    let client: OpenAI;

    beforeAll(async () => {
      const tenants = [{ name: 'acme', plan: 'standard', webhook: WEBHOOK }];
      account = await BatchAccount.start({ ...POLICY, tenants, batch: { ...POLICY.batch, maxLineBytes: 16_384 } });
      client = account.client('acme');
    }, 90_000);
    afterAll(() => account.end());

    const begin = async (lines: readonly string[]) => {
      const file = await toFile(Buffer.from(`${lines.join('\n')}\n`), 'requests.jsonl');
      const { id } = await client.files.create({ purpose: 'batch', file });
      return client.batches.create({
        ...{ input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' },
      });
    };
    /** Has the control function take one message, and gives what failed. */
    const controlOnce = async (remainingMs?: number) => {
      const queue = account.queue('CONTROL');
      const [message] = await queue.receive({ most: 1, waitSeconds: 1 });
      const { body, receipt, receiveCount } = message!;
      const attributes = { ApproximateReceiveCount: String(receiveCount) };
      const failure = await account.invoke({ Records: [{ body, receiptHandle: receipt, attributes }] }, remainingMs);
      await queue.remove([receipt]);
      return { kind: (JSON.parse(body) as { kind: string }).kind, failure };
    };
    /** The same for all messages up to one of a kind: news of an earlier batch, told anew, may come in between. */
    const controlUntil = async (kind: string) => {
      for (let i = 0; i < 10; i++) {
        const outcome = await controlOnce();
        if (outcome.kind === kind) return outcome;
      }
      throw new Error(`the control queue holds no message of the kind ${kind}`);
    };
    const megabyte = ({ custom_id: id }: { custom_id: string }) => answer(id.padEnd(1_200_000, 'x'));
    /** A large batch that is cancelled when its split has died half-way, and some of it has large results. */
    const cancelled = async () => {
      const batch = await begin(Array.from({ length: MANY }, (_, i) => chatLine(`r${i}`, 'x'.repeat(LONG))));
      let sends = FLIGHT_CALLS;
      account.recorders.control.refuses = ({ headers }) =>
        headers['x-amz-target'] === 'AmazonSQS.SendMessageBatch' && sends-- <= 0;
      expect((await controlUntil('split')).failure).toContain('SendMessageBatch');
      account.recorders.control.refuses = () => false;
      await client.batches.cancel(batch.id);
      await endAll();
      return batch;
    };
    /** Ends the items that wait: nine with large results, the others without. */
    const endAll = async () => {
      const { results, desk } = account.stores;
      const queue = account.queue('WORK');
      const items: ItemMessage[] = [];
      for (let received = await queue.receive(); received.length > 0; received = await queue.receive()) {
        items.push(...received.map(({ body }) => JSON.parse(body) as ItemMessage));
        await queue.remove(received.map(({ receipt }) => receipt));
      }
      expect(items).toHaveLength(10 * FLIGHT_CALLS);
      for (const item of items.slice(0, 9)) {
        const id = `r${item.line - 1}`;
        await results.write(item, answeredLine(item, id, megabyte({ custom_id: id })));
      }
      for (let from = 0; from < items.length; from += 50) {
        const ended = items.slice(from, from + 50).map((item, i) => ({
          ...item,
          outcome: from + i < 9 ? ('completed' as const) : ('skipped' as const),
        }));
        await desk().finish(ended);
      }
    };
    const isSecondPart = ({ method, url }: { method: string; url: string }) =>
      method === 'PUT' && url.includes('partNumber=2');

    it('puts a large batch together from parts, which it removes', async () => {
      const batch = await cancelled();
      await account.control();
      expect(await client.batches.retrieve(batch.id)).toMatchObject({ status: 'cancelled' });
    }, 120_000);

    it.each([
      ['of a part', cancelled],
      [
        'of an output file',
        async () => {
          const batch = await begin(Array.from({ length: 9 }, (_, i) => chatLine(`r${i}`)));
          expect((await controlUntil('split')).failure).toBeNull();
          await account.work(megabyte);
          return batch;
        },
      ],
    ])(
      'breaks an upload %s off that fails, and says when its message comes back',
      async (_, prepare) => {
        const batch = await prepare();
        account.recorders.control.refuses = isSecondPart;
        const outcomes = [await controlOnce()];
        while (outcomes.at(-1)!.failure === null) outcomes.push(await controlOnce());
        account.recorders.control.refuses = () => false;
        expect(outcomes.at(-1)).toEqual({ kind: 'finalise', failure: expect.stringContaining('UploadPart') });
        expect(await client.batches.retrieve(batch.id)).toMatchObject({ output_file_id: null });
      },
      120_000,
    );

    it('signs what it tells a tenant, and tries again where nobody answers', async () => {
      await begin([chatLine('one')]);
      await account.control();
      await account.work(() => answer('ok'));
      expect((await controlUntil('finalise')).failure).toBeNull();
      expect((await controlUntil('notify')).failure).toBeNull();
    });

    it('sweeps', async () => {
      expect(await account.invoke({ source: 'aws.events' })).toBeNull();
    });

    it('splits a job whose message got lost', async () => {
      account.recorders.api.refuses = ({ headers }) => headers['x-amz-target'] === 'AmazonSQS.SendMessageBatch';
      const body = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] };
      const { id } = await client.post<{ id: string }>('/jobs', { body });
      account.recorders.api.refuses = () => false;
      await account.stores.control.send({ v: 1, kind: 'split', tenant: 'acme', batchId: id });
      expect(await account.control()).toContain('split');
      expect(await account.work(() => answer('ok'))).toContain(1);
    });

    it('removes the request of a job where another under the same key was faster', async () => {
      const headers = { 'idempotency-key': 'job-1' };
      const body = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] };
      const create = () => client.post<{ id: string }>('/jobs', { body, headers });
      let faster: Promise<{ id: string }> | undefined;
      account.recorders.api.refuses = async ({ method, url }) => {
        if (method !== 'PUT' || !url.includes('/jobs/') || faster) return false;
        faster = create();
        await faster;
        return false;
      };
      const slower = await create();
      account.recorders.api.refuses = () => false;
      expect(slower.id).toBe((await faster!).id);
    });

    it.each(['batch-api', 'batch-control'])('has %s call what is recorded, and its role permits', (handler) => {
      const { recorded, seen } = callsOf(handler, 'large-late-or-broken');
      expect(seen).toEqual(recorded);
    });
  });
}
