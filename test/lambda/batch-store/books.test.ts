import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { newBatch } from '../../../lambda/queueing/batch-life';
import type { BatchRecord } from '../../../lambda/queueing/batch-record';
import type { ItemMessage } from '../../../lambda/queueing/item';
import { Table } from '../../../lambda/aws/table';
import { awsService } from '../../../lambda/aws/service';
import { BatchTable } from '../../../lambda/batch-store/batch-table';
import { ItemTable } from '../../../lambda/batch-store/item-table';
import { hasMoto } from '../moto-server';
import { BatchAccount } from '../queueing/batch-account';

if (!hasMoto) {
  it.skip('the books of items against moto: python3 lacks moto, install it by python3 -m pip install "moto[server]"', () => {
    throw new Error('unreachable');
  });
} else {
  describe('the books of items', () => {
    let account: BatchAccount;
    let batch: BatchRecord;
    let now: number;
    let made = 0;

    beforeAll(async () => {
      account = await BatchAccount.start();
    }, 90_000);
    afterAll(() => account.end());

    beforeEach(async () => {
      now = 1_800_000_000_000;
      batch = await begin(3);
    });

    /** A batch whose items have all been sent. */
    async function begin(items: number): Promise<BatchRecord> {
      const id = `batch_${String(made++).padStart(26, '0')}`;
      const input = { key: `files/acme/${id}`, bytes: 1, etag: 'x' };
      const fresh = newBatch({ id, tenant: 'acme', plan: 'standard', endpoint: '/v1/x', input }, now / 1000, 30);
      const split = { ...fresh.split, line: items, sent: items, done: true };
      const begun: BatchRecord = { ...fresh, status: 'in_progress', split };
      await account.stores.batches.add(begun);
      return begun;
    }
    const itemOf = (line: number, change: Partial<ItemMessage> = {}): ItemMessage => ({
      ...{ v: 1, tenant: 'acme', plan: 'standard', batchId: batch.id, line, input: 'x', offset: 0, length: 1 },
      ...change,
    });
    function deskOf(owner: string): ItemTable {
      const { batches, control } = account.stores;
      const table = new Table(awsService(account.environment, 'dynamodb', 5000), 'progress');
      const clocks = { now: () => now / 1000, nowMs: () => now, random: Math.random };
      return new ItemTable(table, { batches, control, owner, ...clocks });
    }
    const found = async () => (await account.stores.batches.find('acme', batch.id))!;
    const counts = () => account.stores.batches.counts(batch.id);
    const controls = async () => {
      const queue = account.queue('CONTROL');
      const received = await queue.receive();
      await queue.remove(received.map(({ receipt }) => receipt));
      return received.map(({ body }) => JSON.parse(body) as { kind: string; batchId: string });
    };
    const finished = (line: number, outcome: 'completed' | 'failed' | 'skipped' = 'completed') => ({
      ...{ tenant: 'acme', batchId: batch.id, line, outcome },
    });

    it('give an item to one worker, and to another only when its lease is over', async () => {
      const [one, two] = [deskOf('one'), deskOf('two')];
      expect(await one.claim([itemOf(1), itemOf(2)], 1000)).toEqual([
        { kind: 'claimed', attempts: 1 },
        { kind: 'claimed', attempts: 1 },
      ]);
      expect(await two.claim([itemOf(1), itemOf(3)], 1000)).toEqual([
        { kind: 'held', until: now + 1000 },
        { kind: 'claimed', attempts: 1 },
      ]);
      now += 1000;
      expect(await two.claim([itemOf(1)], 1000)).toEqual([{ kind: 'claimed', attempts: 2 }]);
    });

    it('forget a claim that is given back, as if it had never been made', async () => {
      const [one, two] = [deskOf('one'), deskOf('two')];
      for (let i = 0; i < 10; i++) {
        expect(await one.claim([itemOf(1)], 1000)).toEqual([{ kind: 'claimed', attempts: 1 }]);
        await one.release([itemOf(1)]);
        await one.release([itemOf(1)]);
      }
      expect(await two.claim([itemOf(1)], 1000)).toEqual([{ kind: 'claimed', attempts: 1 }]);
      await one.release([itemOf(1)]);
      expect(await one.claim([itemOf(1)], 1000)).toEqual([{ kind: 'held', until: now + 1000 }]);
    });

    it('count each item once, however often it is finished, and close the batch with the last', async () => {
      const desk = deskOf('one');
      await desk.claim([itemOf(1), itemOf(2)], 1000);
      await desk.finish([finished(1), finished(2, 'failed')]);
      await desk.finish([finished(1, 'failed'), finished(2)]);
      await desk.finish([finished(2, 'skipped')]);
      expect(await counts()).toEqual({ completed: 1, failed: 1, skipped: 0 });
      expect(await desk.claim([itemOf(1)], 1000)).toEqual([{ kind: 'done' }]);
      expect((await found()).status).toBe('in_progress');
      await desk.finish([finished(1), finished(3, 'skipped')]);
      expect(await counts()).toEqual({ completed: 1, failed: 1, skipped: 1 });
      expect(await found()).toMatchObject({ status: 'finalizing', ending: 'completed' });
      expect(await controls()).toEqual([{ v: 1, kind: 'finalise', tenant: 'acme', batchId: batch.id }]);
      await desk.finish([finished(3)]);
      expect(await controls()).toEqual([]);
    });

    it('close a batch whose last worker died before it saw that it was the last', async () => {
      const desk = deskOf('one');
      batch = await begin(1);
      const table = new Table(awsService(account.environment, 'dynamodb', 5000), 'progress');
      await table.put({ pk: `ITEM#${batch.id}#1`, sk: '-', state: 'done', counted: 'completed', leaseUntil: 0 });
      await table.put({ pk: `COUNT#${batch.id}`, sk: '03', completed: 1 });
      expect(await desk.claim([itemOf(1)], 1000)).toEqual([{ kind: 'done' }]);
      expect((await found()).status).toBe('finalizing');
      expect(await controls()).toHaveLength(1);
    });

    it('refuse items of a batch that wants no more results, and know nothing of others’', async () => {
      const desk = deskOf('one');
      const { batches } = account.stores;
      await batches.change('acme', batch.id, (before) => ({ ...before, status: 'cancelling', cancellingAt: 1 }));
      expect(
        await desk.claim([itemOf(1), itemOf(1, { batchId: 'batch_none' }), itemOf(1, { tenant: 'other' })], 1),
      ).toEqual([{ kind: 'over', reason: 'cancelled' }, { kind: 'unknown' }, { kind: 'unknown' }]);
      await desk.finish([finished(1, 'skipped'), finished(2, 'skipped'), finished(3, 'skipped')]);
      expect((await found()).ending).toBe('cancelled');
      await controls();
    });

    it('let an item that was set aside be made up for, and count its new end in the place of the old', async () => {
      const desk = deskOf('one');
      await desk.claim([itemOf(1), itemOf(2), itemOf(3)], 1000);
      await desk.finish([finished(2), finished(3)]);
      await desk.bury(itemOf(1));
      await desk.bury(itemOf(1));
      expect(await counts()).toEqual({ completed: 2, failed: 1, skipped: 0 });
      expect(await controls()).toHaveLength(1);
      await account.stores.batches.change('acme', batch.id, (before) => ({ ...before, status: 'completed' }));
      expect(await desk.claim([itemOf(1)], 1000)).toEqual([{ kind: 'done' }]);
      const again = itemOf(1, { redriven: true });
      expect(await desk.claim([again], 1000)).toEqual([{ kind: 'claimed', attempts: 1 }]);
      expect(await deskOf('two').claim([again], 1000)).toEqual([{ kind: 'held', until: now + 1000 }]);
      await desk.finish([finished(1)]);
      await desk.finish([finished(1)]);
      expect(await counts()).toEqual({ completed: 3, failed: 0, skipped: 0 });
      expect((await found()).stale).toBe(true);
      expect(await desk.claim([again], 1000)).toEqual([{ kind: 'done' }]);
    });

    it('let an item that fails again be set aside again, counted once', async () => {
      const desk = deskOf('one');
      const again = itemOf(1, { redriven: true });
      for (let i = 0; i < 3; i++) {
        expect(await desk.claim([again], 1000)).toMatchObject([{ kind: 'claimed' }]);
        await desk.bury(again);
        expect(await counts()).toEqual({ completed: 0, failed: 1, skipped: 0 });
      }
    });
  });

  describe('the books of batches and files', () => {
    let account: BatchAccount;
    beforeAll(async () => {
      account = await BatchAccount.start();
    }, 90_000);
    afterAll(() => account.end());

    const batchOf = (id: string) =>
      newBatch(
        {
          id,
          tenant: 'acme',
          plan: 'standard',
          endpoint: '/v1/x',
          input: { key: 'x', bytes: 1 },
          metadata: { a: 'b' },
        },
        ...([1_800_000_000, 30] as const),
      );

    it('give back what they were given', async () => {
      const { batches } = account.stores;
      const batch = batchOf('batch_a');
      await batches.add(batch);
      expect(await batches.find('acme', 'batch_a')).toEqual(batch);
      expect(await batches.find('other', 'batch_a')).toBeUndefined();
    });

    it('make a change again on what another has written meanwhile', async () => {
      const { batches } = account.stores;
      await batches.add(batchOf('batch_b'));
      const rival = () => batches.change('acme', 'batch_b', (batch) => ({ ...batch, deadline: batch.deadline + 1 }));
      class Interrupted extends Table {
        private rivals = 2;
        public override async put(...args: Parameters<Table['put']>): Promise<void> {
          if (this.rivals-- > 0) await rival();
          await super.put(...args);
        }
      }
      const table = new Interrupted(awsService(account.environment, 'dynamodb', 5000), 'progress');
      const changed = await new BatchTable(table, () => 0).change('acme', 'batch_b', (batch) => ({
        ...{ ...batch, deadline: batch.deadline + 10 },
      }));
      expect(changed).toMatchObject({ version: 4, deadline: batchOf('batch_b').deadline + 12 });
      expect(await batches.find('acme', 'batch_b')).toEqual(changed);
      expect(await batches.change('acme', 'batch_b', () => undefined)).toBeUndefined();
      expect(await batches.change('acme', 'batch_none', (batch) => batch)).toBeUndefined();
    });

    it('keep the first of two that are made under one key', async () => {
      const { batches } = account.stores;
      const once = { key: 'k', digest: 'd' };
      expect(await batches.add(batchOf('batch_c'), once)).toBeUndefined();
      expect(await batches.add(batchOf('batch_d'), { ...once, digest: 'e' })).toEqual({ id: 'batch_c', digest: 'd' });
      expect(await batches.find('acme', 'batch_d')).toBeUndefined();
      expect(await batches.usedFor('acme', 'k')).toEqual({ id: 'batch_c', digest: 'd' });
      expect(await batches.usedFor('other', 'k')).toBeUndefined();
    });

    it('know what is to be looked after', async () => {
      const { batches } = account.stores;
      await batches.unwatch('batch_a');
      const watched: string[] = [];
      for await (const { tenant, id } of batches.watched()) watched.push(`${tenant} ${id}`);
      expect(watched.sort()).toEqual(['acme batch_b', 'acme batch_c']);
    });

    it('do not bring a deleted file back when its upload is noted', async () => {
      const { files } = account.stores;
      const file = {
        ...({ id: 'file-a', tenant: 'acme', purpose: 'batch', filename: 'x', bytes: 1, status: 'pending' } as const),
        ...{ createdAt: 1, expiresAt: 2_000_000_000 },
      };
      await files.add(file);
      await files.arrived(file);
      expect((await files.find('acme', 'file-a'))?.status).toBe('uploaded');
      expect([await files.remove('acme', 'file-a'), await files.remove('acme', 'file-a')]).toEqual([true, false]);
      await files.arrived(file);
      expect(await files.find('acme', 'file-a')).toBeUndefined();
    });

    it('keep the first result of an item, unless a better one is to take its place', async () => {
      const { results } = account.stores;
      const item = { tenant: 'acme', batchId: 'batch_r', line: 1 };
      const result = { id: 'r', custom_id: 'x', response: null, error: { code: 'a', message: 'a', line: 1 } };
      const better = { ...result, response: { status_code: 200, request_id: 'r', body: {} }, error: null };
      expect(await results.outcome(item)).toBeUndefined();
      expect(await results.write(item, result)).toBe('written');
      expect(await results.write(item, better)).toBe('present');
      expect(await results.outcome(item)).toBe('failed');
      expect(await results.write(item, better, { replace: true })).toBe('written');
      expect(await results.outcome(item)).toBe('completed');
    });

    it('say why a message is among the dead letters', async () => {
      const dead = account.stores.deadLetters();
      const message = {
        v: 1,
        tenant: 'acme',
        plan: 'p',
        batchId: 'b',
        line: 1,
        input: 'x',
        offset: 0,
        length: 1,
      } as const;
      await dead.send(message, 'worker_crashed');
      await dead.send({ text: 'not a message' }, 'unreadable');
      const received = await account.queue('DEAD_LETTER').receive();
      const told = received.map(({ body, attributes, group }) => [body, attributes.reason, group]);
      expect(told).toEqual(
        expect.arrayContaining([
          [JSON.stringify(message), 'worker_crashed', 'acme'],
          ['not a message', 'unreadable', undefined],
        ]),
      );
    });
  });
}
