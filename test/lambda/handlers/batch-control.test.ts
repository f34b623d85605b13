import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type OpenAI, toFile } from 'openai';
import { webhookSecret } from '../../../lambda/queueing/webhook';
import { hasMoto } from '../moto-server';
import { answer, BatchAccount, chatLine, POLICY } from '../queueing/batch-account';

interface Call {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

if (!hasMoto) {
  it.skip('the control function against moto: python3 lacks moto, install it by python3 -m pip install "moto[server]"', () => {
    throw new Error('unreachable');
  });
} else {
  describe('the built control function, against moto', () => {
    let account: BatchAccount;
    let client: OpenAI;
    let receiver: Server;
    const calls: Call[] = [];
    const statuses: number[] = [];

    beforeAll(async () => {
      receiver = createServer((request, response) => {
        void text(request).then((body) => {
          calls.push({ headers: request.headers, body });
          response.writeHead(statuses.shift() ?? 200).end();
        });
      });
      await new Promise<void>((listening) => receiver.listen(0, '127.0.0.1', listening));
      const webhook = { url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook` };
      const tenants = [...POLICY.tenants, { name: 'told', plan: 'standard', webhook }];
      account = await BatchAccount.start({ ...POLICY, tenants });
      client = account.client('told');
    }, 90_000);
    afterAll(async () => {
      receiver.close();
      await account.end();
    });

    async function begin(lines: readonly string[]) {
      const file = await toFile(Buffer.from(lines.join('\n')), 'x.jsonl');
      const { id } = await client.files.create({ purpose: 'batch', file });
      const params = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
      return client.batches.create(params);
    }

    it('tells a tenant by a signed call that its batch has ended, and again where that was not taken', async () => {
      statuses.push(500);
      const batch = await begin([chatLine('one')]);
      await account.control();
      await account.work(({ custom_id: id }) => answer(id));
      await account.control();
      expect(calls).toHaveLength(1);
      while (calls.length < 2) {
        await pause(500);
        await account.control();
      }
      const told = await Promise.all(
        calls.map(({ headers, body }) =>
          client.webhooks.unwrap(body, headers as Record<string, string>, webhookSecret('master', 'told')),
        ),
      );
      expect(told[0]).toMatchObject({ type: 'batch.completed', data: { id: batch.id } });
      expect(told[1]).toEqual(told[0]);
      expect(calls[1]!.headers['webhook-id']).toBe(calls[0]!.headers['webhook-id']);
    });

    it('gives a message back soon that it could not work on, and leaves it to the queue’s dead letters', async () => {
      const queue = account.queue('CONTROL');
      await queue.send([{ body: 'not a message' }]);
      const [received] = await queue.receive({ visibilitySeconds: 600 });
      const record = (count: number) => ({
        ...{ body: received!.body, receiptHandle: received!.receipt },
        attributes: { ApproximateReceiveCount: String(count) },
      });
      expect(await account.invoke({ Records: [record(-3)] })).toMatch(/JSON|control message/);
      await pause(1500);
      const [again] = await queue.receive();
      expect(again?.body).toBe('not a message');
      await queue.remove([again!.receipt]);
    });

    it('sends what got lost on its way again when it sweeps', async () => {
      const batch = await begin([chatLine('one')]);
      const queue = account.queue('CONTROL');
      // The message gets lost.
      await queue.remove((await queue.receive()).map(({ receipt }) => receipt));
      expect(await account.invoke({ source: 'aws.events' })).toBeNull();
      expect(await queue.receive()).toEqual([]);
      const { batches } = account.stores;
      await batches.change('told', batch.id, (found) => ({
        ...found,
        split: { ...found.split, at: found.split.at - 600 },
      }));
      await account.invoke({ source: 'aws.events' });
      expect(await account.control()).toEqual(['split']);
      await account.work(({ custom_id: id }) => answer(id));
      expect(await account.control()).toEqual(['finalise', 'notify']);
      expect((await client.batches.retrieve(batch.id)).status).toBe('completed');
    });

    it('sends a job on its way again whose message got lost', async () => {
      account.recorders.api.refuses = ({ headers }) => headers['x-amz-target'] === 'AmazonSQS.SendMessageBatch';
      const request = { model: 'llama', messages: [{ role: 'user', content: 'Later' }] };
      const job = await client.post<{ id: string; status: string }>('/jobs', { body: request });
      account.recorders.api.refuses = () => false;
      expect(job.status).toBe('in_progress');
      expect(await account.work(() => 'never')).toEqual([]);
      const { batches } = account.stores;
      const late = (found: { split: { at: number } }) => found.split.at - 600;
      await batches.change('told', job.id, (found) => ({ ...found, split: { ...found.split, at: late(found) } }));
      await account.invoke({ source: 'aws.events' });
      expect(await account.control()).toEqual(['split']);
      expect(await account.work(({ custom_id: id }) => answer(id))).toEqual([1]);
      await account.control();
      expect(await client.get(`/jobs/${job.id}`)).toMatchObject({ status: 'completed' });
    });

    it('ends a batch whose day is over, with what is there of it, when it sweeps', async () => {
      const batch = await begin([chatLine('one'), chatLine('two')]);
      await account.control();
      const item = { tenant: 'told', batchId: batch.id, line: 1 };
      const result = { id: 'batch_req_1', custom_id: 'one', response: answer('one'), error: null };
      await account.stores.results.write(item, result);
      await account.stores.desk().finish([{ ...item, outcome: 'completed' }]);
      const late = (found: { deadline: number }) => ({ deadline: found.deadline - 86_400 - 900 });
      await account.stores.batches.change('told', batch.id, (found) => ({ ...found, ...late(found) }));
      await account.invoke({ source: 'aws.events' });
      expect(await account.control()).toEqual(['finalise', 'notify']);
      const expired = await client.batches.retrieve(batch.id);
      expect(expired).toMatchObject({ status: 'expired', request_counts: { total: 2, completed: 1, failed: 1 } });
      expect(await (await client.files.content(expired.error_file_id!)).text()).toContain('"code":"batch_expired"');
      expect(JSON.parse(calls.at(-1)!.body)).toMatchObject({ type: 'batch.expired', data: { id: batch.id } });
      expect(await account.work(() => 'never')).toEqual([]);
    });
  });
}
