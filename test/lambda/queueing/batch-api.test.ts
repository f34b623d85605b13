import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import OpenAI, { toFile } from 'openai';
import { hasMoto } from '../moto-server';
import { callsOf } from '../recorded-calls';
import { answer, BatchAccount, chatLine } from './batch-account';

const ABSENT_FILE = `file-${'0'.repeat(26)}`;

interface Told {
  readonly custom_id: string | null;
  readonly response: { readonly status_code: number } | null;
  readonly error: { readonly code: string; readonly message: string; readonly line: number } | null;
}

const linesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Told);

if (!hasMoto) {
  it.skip('background work against moto: python3 lacks moto, install it by python3 -m pip install "moto[server]"', () => {
    throw new Error('unreachable');
  });
} else {
  describe('the official openai client and the built functions of background work, against moto', () => {
    let account: BatchAccount;
    let client: OpenAI;

    beforeAll(async () => {
      account = await BatchAccount.start();
      client = account.client('acme');
    }, 90_000);
    afterAll(() => account.end());

    const upload = async (lines: readonly string[] | string, of = client) => {
      const text = typeof lines === 'string' ? lines : `${lines.join('\n')}\n`;
      return of.files.create({ purpose: 'batch', file: await toFile(Buffer.from(text), 'requests.jsonl') });
    };
    const begin = (fileId: string, change: Partial<OpenAI.BatchCreateParams> = {}) =>
      client.batches.create({
        ...{ input_file_id: fileId, endpoint: '/v1/chat/completions', completion_window: '24h', ...change },
      });
    const refusal = async (call: Promise<unknown>) => {
      const error: unknown = await call.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof OpenAI.APIError)) throw new Error(`no refusal: ${String(error)}`);
      return { status: error.status as number, code: error.code, param: error.param, message: error.message };
    };
    const contentOf = async (id: string | null | undefined) => (await client.files.content(id!)).text();
    /** Workers and the control function, until nothing waits. */
    const settle = async (treat: Parameters<BatchAccount['work']>[0] = ({ custom_id: id }) => answer(id)) => {
      for (let moved = true; moved;) {
        const done = [await account.control(), await account.work(treat), await account.control()];
        moved = done.flat().length > 0;
      }
    };

    it('uploads, runs and downloads a batch', async () => {
      const file = await upload([chatLine('one'), chatLine('two'), chatLine('three')]);
      expect(file).toMatchObject({ object: 'file', purpose: 'batch', filename: 'requests.jsonl', status: 'uploaded' });
      expect(file.expires_at! - file.created_at).toBe(30 * 86_400);
      expect(await client.files.retrieve(file.id)).toEqual(file);
      const batch = await begin(file.id, { metadata: { purpose: 'nightly' } });
      expect(batch).toMatchObject({ object: 'batch', status: 'validating', metadata: { purpose: 'nightly' } });
      expect(batch.expires_at! - batch.created_at).toBe(86_400);
      await account.control();
      const running = await client.batches.retrieve(batch.id);
      expect(running).toMatchObject({ status: 'in_progress', request_counts: { total: 3, completed: 0, failed: 0 } });
      await settle(({ custom_id: id }) => (id === 'two' ? 'worker_crashed' : answer(id)));
      const done = await client.batches.retrieve(batch.id);
      expect(done).toMatchObject({
        ...{ status: 'completed', model: 'llama', endpoint: '/v1/chat/completions', errors: null },
        request_counts: { total: 3, completed: 2, failed: 1 },
        usage: { input_tokens: 6, output_tokens: 4, total_tokens: 10 },
      });
      expect(done.completed_at).toBeGreaterThanOrEqual(done.finalizing_at!);
      const output = linesOf(await contentOf(done.output_file_id));
      expect(output.map(({ custom_id: id, response }) => [id, response?.status_code])).toEqual([
        ['one', 200],
        ['three', 200],
      ]);
      expect(linesOf(await contentOf(done.error_file_id))).toMatchObject([
        { custom_id: 'two', response: null, error: { code: 'worker_crashed', line: 2 } },
      ]);
      const outputFile = await client.files.retrieve(done.output_file_id!);
      expect(outputFile).toMatchObject({ purpose: 'batch_output', filename: `${batch.id}_output.jsonl` });
    });

    it('gets each bad line as an error with its line and reason, next to the results of the good ones', async () => {
      const lines = [
        chatLine('good'),
        'not JSON',
        chatLine('good'),
        chatLine('unknown model', 'Hello', 'gpt-9'),
        chatLine('long', 'x'.repeat(5000)),
        chatLine('wrong method').replace('"POST"', '"GET"'),
        chatLine('wrong url').replace('/v1/chat/completions', '/v1/embeddings'),
        chatLine('no id').replace('"custom_id":"no id",', ''),
        chatLine('no messages').replace('"messages"', '"texts"'),
        chatLine('other kind', 'Hello', 'embedder'),
        '',
        chatLine('last'),
      ];
      const batch = await begin((await upload(lines.join('\n'))).id);
      await settle();
      const done = await client.batches.retrieve(batch.id);
      expect(done.request_counts).toEqual({ total: 11, completed: 2, failed: 9 });
      const output = linesOf(await contentOf(done.output_file_id));
      expect(output.map(({ custom_id: id }) => id)).toEqual(['good', 'last']);
      const errors = linesOf(await contentOf(done.error_file_id));
      expect(errors.map(({ custom_id: id, error }) => [error?.line, error?.code, id])).toEqual([
        [2, 'invalid_json_line', null],
        [3, 'duplicate_custom_id', 'good'],
        [4, 'model_not_found', 'unknown model'],
        [5, 'line_too_long', null],
        [6, 'invalid_method', 'wrong method'],
        [7, 'invalid_url', 'wrong url'],
        [8, 'missing_required_parameter', null],
        [9, 'invalid_request', 'no messages'],
        [10, 'invalid_request', 'other kind'],
      ]);
      expect(errors.every(({ error }) => error!.message.includes(`Line ${error!.line}`))).toBe(true);
    });

    it('sees a batch fail whose every line is bad, with what is wrong with each', async () => {
      const batch = await begin((await upload(['one', '{"custom_id":"x"}'])).id);
      await settle();
      const failed = await client.batches.retrieve(batch.id);
      expect(failed).toMatchObject({ status: 'failed', output_file_id: null, error_file_id: null });
      expect(failed.failed_at).toEqual(expect.any(Number));
      expect(failed.errors?.data).toMatchObject([
        { code: 'invalid_json_line', line: 1, param: null },
        { code: 'missing_required_parameter', line: 2, param: 'method' },
      ]);
    });

    it('sees a batch of nothing but white space fail', async () => {
      const batch = await begin((await upload('\n \n')).id);
      await settle();
      expect((await client.batches.retrieve(batch.id)).errors?.data).toMatchObject([
        { code: 'empty_file', line: null },
      ]);
    });

    it('sees a batch fail as a whole that has too many lines, before one of them is sent', async () => {
      const lines = Array.from({ length: 1001 }, (_, i) => chatLine(`request-${i}`));
      const batch = await begin((await upload(lines)).id);
      await account.control();
      expect(await client.batches.retrieve(batch.id)).toMatchObject({
        ...{ status: 'failed', request_counts: { total: 0 } },
        errors: { data: [{ code: 'request_limit_exceeded' }] },
      });
      expect(await account.work(() => 'never')).toEqual([]);
    });

    it('cancels a batch and gets what was done until then', async () => {
      const batch = await begin((await upload([chatLine('one'), chatLine('two')])).id);
      await account.control();
      const stores = account.stores;
      const [received] = await account.queue('WORK').receive({ most: 1 });
      const message = JSON.parse(received!.body) as Parameters<ReturnType<typeof stores.desk>['claim']>[0][0];
      const desk = stores.desk();
      expect(await desk.claim([message], 60_000)).toEqual([{ kind: 'claimed', attempts: 1 }]);
      expect((await client.batches.cancel(batch.id)).status).toBe('cancelling');
      expect((await client.batches.cancel(batch.id)).status).toBe('cancelling');
      await account.work(() => 'never');
      expect((await client.batches.retrieve(batch.id)).status).toBe('cancelling');
      const item = { tenant: 'acme', batchId: batch.id, line: message.line };
      const line = message.line === 1 ? 'one' : 'two';
      await stores.results.write(item, {
        ...{ id: 'batch_req_1', custom_id: line, response: answer(line), error: null },
      });
      await desk.finish([{ ...item, outcome: 'completed' }]);
      await account.control();
      const cancelled = await client.batches.retrieve(batch.id);
      expect(cancelled).toMatchObject({ status: 'cancelled', request_counts: { total: 2, completed: 1, failed: 0 } });
      expect(linesOf(await contentOf(cancelled.output_file_id))).toMatchObject([{ custom_id: line }]);
      expect(linesOf(await contentOf(cancelled.error_file_id))).toMatchObject([{ error: { code: 'batch_cancelled' } }]);
    });

    it('cannot cancel what has ended', async () => {
      const batch = await begin((await upload([chatLine('one')])).id);
      await settle();
      expect(await refusal(client.batches.cancel(batch.id))).toMatchObject({
        ...{ status: 400, message: expect.stringContaining('completed') },
      });
    });

    it('cancels at once where nothing is in progress', async () => {
      const batch = await begin((await upload([chatLine('one')])).id);
      await client.batches.cancel(batch.id);
      await account.control();
      expect((await client.batches.retrieve(batch.id)).status).toBe('cancelled');
    });

    it('lists files and batches page by page, the newest first', async () => {
      const lister = account.client('lister');
      const files: string[] = [];
      for (let i = 0; i < 5; i++) files.push((await upload([chatLine('one')], lister)).id);
      const paged: string[] = [];
      for await (const file of lister.files.list({ limit: 2, purpose: 'batch' })) paged.push(file.id);
      expect(paged).toEqual(files.toReversed());
      const oldest = await lister.files.list({ limit: 2, order: 'asc', after: files[0] });
      expect(oldest.data.map(({ id }) => id)).toEqual(files.slice(1, 3));
      expect(oldest.has_more).toBe(true);
      expect((await lister.files.list({ purpose: 'batch_output' })).data).toEqual([]);
      const batches: string[] = [];
      for (const id of files.slice(0, 3)) {
        const params = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
        batches.push((await lister.batches.create(params)).id);
      }
      const listed: string[] = [];
      for await (const batch of lister.batches.list({ limit: 1 })) listed.push(batch.id);
      expect(listed).toEqual(batches.toReversed());
      expect(await refusal(client.batches.list({ limit: 101 }))).toMatchObject({ status: 400, param: 'limit' });
      expect(await refusal(client.files.list({ after: 'x' }))).toMatchObject({ status: 400, param: 'after' });
    });

    it('deletes a file, unless a batch still reads it', async () => {
      const file = await upload([chatLine('one')]);
      const batch = await begin(file.id);
      expect(await refusal(client.files.delete(file.id))).toMatchObject({ status: 400, code: 'file_in_use' });
      await client.batches.cancel(batch.id);
      await settle();
      expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
      expect(await refusal(client.files.retrieve(file.id))).toMatchObject({ status: 404 });
      expect(await refusal(client.files.content(file.id))).toMatchObject({ status: 404 });
    });

    it('finds nothing of another tenant, and cannot tell that from what does not exist', async () => {
      const stranger = account.client('other');
      const file = await upload([chatLine('one')]);
      const batch = await begin(file.id);
      const tries = (fileId: string, batchId: string) => [
        stranger.files.retrieve(fileId),
        stranger.files.content(fileId),
        stranger.files.delete(fileId),
        stranger.batches.retrieve(batchId),
        stranger.batches.cancel(batchId),
        stranger.batches.create({
          ...{ input_file_id: fileId, endpoint: '/v1/chat/completions', completion_window: '24h' },
        }),
      ];
      const absent = `batch_${'0'.repeat(26)}`;
      const foreign = await Promise.all(tries(file.id, batch.id).map(refusal));
      const unknown = await Promise.all(tries(ABSENT_FILE, absent).map(refusal));
      const named = (text: string) => text.replace(file.id, ABSENT_FILE).replace(batch.id, absent);
      expect(foreign.map((told) => ({ ...told, message: named(told.message) }))).toEqual(unknown);
      expect(foreign.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404, 404]);
      expect((await client.files.retrieve(file.id)).id).toBe(file.id);
    });

    it('gets a precise error for a request that is none', async () => {
      const empty = await refusal(upload(''));
      expect(empty).toMatchObject({ status: 400, code: 'empty_file' });
      const wrong = { purpose: 'fine-tune' as const, file: await toFile(Buffer.from('x'), 'x.jsonl') };
      expect(await refusal(client.files.create(wrong))).toMatchObject({ status: 400, param: 'purpose' });
      const file = await upload([chatLine('one')]);
      const changes = [
        { endpoint: '/v1/responses' as const },
        { endpoint: '/v1/services/none' as '/v1/responses' },
        { completion_window: '1h' as '24h' },
        { metadata: { long: 'x'.repeat(513) } },
        { output_expires_after: { anchor: 'created_at' as const, seconds: 60 } },
        { output_expires_after: { anchor: 'created_at' as const, seconds: 30 * 86_400 + 1 } },
      ];
      const told = await Promise.all(changes.map((change) => refusal(begin(file.id, change))));
      expect(told.map(({ status, param }) => [status, param])).toEqual([
        [400, 'endpoint'],
        [400, 'endpoint'],
        [400, 'completion_window'],
        [400, 'metadata'],
        [400, 'output_expires_after.seconds'],
        [400, 'output_expires_after.seconds'],
      ]);
      expect(told.at(-1)!.message).toContain('from 3600 to 2592000, the 30 days for which files are kept here');
      const batch = await begin(file.id);
      await settle();
      const output = (await client.batches.retrieve(batch.id)).output_file_id!;
      expect(await refusal(begin(output))).toMatchObject({ status: 400, code: 'invalid_file_purpose' });
      expect(await refusal(client.get('/files/x/y'))).toMatchObject({ status: 404, code: 'unknown_url' });
    });

    it('gets a precise error for an upload that was cut off in its middle', async () => {
      const form = new Response(
        Object.entries({ purpose: 'batch', file: new File(['{}'], 'x.jsonl') }).reduce((data, [name, value]) => {
          data.append(name, value);
          return data;
        }, new FormData()),
      );
      const type = form.headers.get('content-type')!;
      const body = Buffer.from(await form.arrayBuffer()).subarray(0, -20);
      const answered = await fetch(`${account.baseUrl}/v1/files`, {
        ...{ method: 'POST', body, headers: { 'content-type': type, authorization: 'Bearer acme' } },
      });
      expect(answered.status).toBe(400);
      expect(await answered.text()).toContain('incomplete');
    });

    it('uploads a file that is too large for a request to an address of its own', async () => {
      const text = Array.from({ length: 3 }, (_, i) => `${chatLine(`request-${i}`)}\n`).join('');
      const announced = { purpose: 'batch', filename: 'large.jsonl', bytes: text.length };
      const file = await client.post<OpenAI.FileObject & { upload_url: string }>('/files', { body: announced });
      expect(file).toMatchObject({ status: 'pending', bytes: text.length });
      expect(await refusal(begin(file.id))).toMatchObject({ status: 400, code: 'file_not_uploaded' });
      expect(await refusal(client.files.content(file.id))).toMatchObject({ status: 400, code: 'file_not_uploaded' });
      expect((await client.files.retrieve(file.id)).status).toBe('pending');
      await account.stores.bucket.put(`files/acme/${file.id}`, text.slice(0, 100));
      expect(await client.files.retrieve(file.id)).toMatchObject({
        ...{ status: 'error', status_details: `100 bytes were uploaded, ${text.length} were announced.` },
      });
      expect(await refusal(begin(file.id))).toMatchObject({ status: 400, code: 'file_incomplete' });
      expect((await fetch(file.upload_url, { method: 'PUT', body: text })).status).toBe(200);
      expect((await client.files.retrieve(file.id)).status).toBe('uploaded');
      const batch = await begin(file.id);
      await settle();
      expect((await client.batches.retrieve(batch.id)).request_counts?.completed).toBe(3);
    });

    it('downloads a large file from where it stands', async () => {
      const line = `${chatLine('one', 'x'.repeat(4000))}\n`;
      const text = line.repeat(Math.ceil((5 * 1024 * 1024) / line.length) + 1);
      const file = await client.post<OpenAI.FileObject & { upload_url: string }>('/files', {
        body: { purpose: 'batch', filename: 'large.jsonl', bytes: text.length },
      });
      await fetch(file.upload_url, { method: 'PUT', body: text });
      const direct = await fetch(`${account.baseUrl}/v1/files/${file.id}/content`, {
        ...{ redirect: 'manual', headers: { authorization: 'Bearer acme' } },
      });
      expect(direct.status).toBe(302);
      expect(await contentOf(file.id)).toBe(text);
    });

    it('makes one batch of a request that is sent twice under one key', async () => {
      const file = await upload([chatLine('one')]);
      const params = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
      const once = { headers: { 'idempotency-key': 'key-1' } };
      const twice = [await client.batches.create(params, once), await client.batches.create(params, once)] as const;
      expect(twice[0].id).toBe(twice[1].id);
      const other = { ...params, metadata: { another: 'request' } };
      expect(await refusal(client.batches.create(other, once))).toMatchObject({
        ...{ status: 409, code: 'idempotency_key_reused' },
      });
      const body = { purpose: 'batch' as const, file: await toFile(Buffer.from('x'), 'x.jsonl') };
      const key = { headers: { 'idempotency-key': 'key-2' } };
      const files = [await client.files.create(body, key), await client.files.create(body, key)];
      expect(files[0]!.id).toBe(files[1]!.id);
      expect((await account.client('other').files.create(body, key)).id).not.toBe(files[0]!.id);
    });

    it('runs a single job', async () => {
      const request = { model: 'llama', messages: [{ role: 'user', content: 'Later' }] };
      const { data: job, response } = await client
        .post<{ id: string; status: string }>('/jobs', { body: request })
        .withResponse();
      expect([response.status, response.headers.get('location')]).toEqual([202, `/v1/jobs/${job.id}`]);
      expect(job).toMatchObject({ object: 'job', status: 'in_progress', url: '/v1/chat/completions', model: 'llama' });
      await settle(({ custom_id: id }, message) => (expect(message.line).toBe(1), answer(id)));
      expect(await client.get(`/jobs/${job.id}`)).toMatchObject({
        ...{ status: 'completed', error: null, response: { status_code: 200, body: { usage: { total_tokens: 5 } } } },
      });
      expect(await refusal(account.client('other').get(`/jobs/${job.id}`))).toMatchObject({ status: 404 });
      const listed = await client.get<{ data: { id: string }[] }>('/jobs');
      expect(listed.data.map(({ id }) => id)).toEqual([job.id]);
    });

    it('gets a job’s failure with its reason, and a bad job refused at once', async () => {
      const service = await client.post<{ id: string }>('/jobs', { body: { url: '/v1/services/search', query: 'x' } });
      await settle(() => 'backend_unavailable');
      expect(await client.get(`/jobs/${service.id}`)).toMatchObject({
        ...{ status: 'failed', url: '/v1/services/search', response: null, error: { code: 'backend_unavailable' } },
      });
      const job = (body: object, plan?: string) => refusal(account.client('acme', plan).post('/jobs', { body }));
      expect(await job({ model: 'gpt-9' })).toMatchObject({ status: 404, code: 'model_not_found' });
      expect(await job({ model: 'llama' })).toMatchObject({ status: 400, param: 'messages' });
      expect(await job({ url: '/v1/files' })).toMatchObject({ status: 400, param: 'url' });
      expect(await job({ model: 'embedder', input: 'x' }, 'chatOnly')).toMatchObject({ status: 404 });
      const long = { model: 'llama', messages: [{ role: 'user', content: 'x'.repeat(5000) }] };
      expect(await job(long)).toMatchObject({ status: 413, code: 'request_too_large' });
    });

    it('cancels a job', async () => {
      const job = await client.post<{ id: string }>('/jobs', { body: { model: 'embedder', input: 'x' } });
      expect(await client.post(`/jobs/${job.id}/cancel`)).toMatchObject({ status: 'cancelling' });
      await settle();
      expect(await client.get(`/jobs/${job.id}`)).toMatchObject({ status: 'cancelled', response: null });
    });

    it.each(['batch-api', 'batch-control'])('has %s call of AWS what is recorded, and its role permits', (handler) => {
      const { recorded, seen } = callsOf(handler, 'openai-client');
      expect(seen).toEqual(recorded);
    });
  });
}
