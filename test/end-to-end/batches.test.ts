import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import OpenAI, { toFile } from 'openai';
import { hasMoto, type MotoServer, startMoto } from '../lambda/moto-server';
import { OTHER_KEY, policyFile, ROOMY_KEY } from './policy';
import { type RunningPlatform, startPlatform } from './processes';

interface Surroundings {
  readonly platform: RunningPlatform;
  /** Whether its bucket refuses an upload of another size than was signed, as S3 does and moto does not. */
  readonly refusesOtherSizes: boolean;
  /** Requests that take it some seconds: time to cancel. moto takes ten times as long for each. */
  readonly backlog: number;
  end(): Promise<void>;
}

/** A line of an output or an error file. */
interface ResultLine {
  readonly custom_id: string | null;
  readonly response: { readonly status_code: number; readonly body: OpenAI.ChatCompletion } | null;
  readonly error: { readonly code: string; readonly message: string; readonly line: number } | null;
}

interface Job {
  readonly id: string;
  readonly status: string;
  readonly response: { readonly status_code: number; readonly body: OpenAI.ChatCompletion } | null;
}

const ENDPOINT = '/v1/chat/completions';
const ENDED = ['completed', 'failed', 'cancelled', 'expired'];
const POLL_MS = 100;
const MOST_WAIT_MS = 30_000;

async function embedded(): Promise<Surroundings> {
  const platform = await startPlatform(['--policy', policyFile()]);
  return { platform, refusesOtherSizes: true, backlog: 600, end: async () => void (await platform.process.end()) };
}

async function onMoto(): Promise<Surroundings> {
  const moto: MotoServer = await startMoto();
  const platform = await startPlatform([
    ...['--policy', policyFile(), '--aws-endpoint', moto.environment.AWS_ENDPOINT_URL!],
  ]);
  return {
    platform,
    refusesOtherSizes: false,
    backlog: 80,
    end: async () => {
      await platform.process.end();
      await moto.close();
    },
  };
}

const request = (id: string, content: string, change: object = {}) =>
  JSON.stringify({
    ...{ custom_id: id, method: 'POST', url: ENDPOINT },
    ...{ body: { model: 'assistant', messages: [{ role: 'user', content }] }, ...change },
  });
const manyRequests = (count: number) => Array.from({ length: count }, (_, i) => request(`request-${i}`, `Number ${i}`));

const suites: [string, () => Promise<Surroundings>][] = [['queues, tables and buckets in the process', embedded]];
if (hasMoto) suites.push(['queues, tables and buckets of moto', onMoto]);
else {
  it.skip('batches on moto: python3 lacks moto, install it by python3 -m pip install "moto[server]"', () => {
    throw new Error('unreachable');
  });
}

describe.each(suites)('an official OpenAI client with files and batches, on %s', (_, surroundings) => {
  let at: Surroundings;
  let client: OpenAI;

  const clientOf = (apiKey: string) => new OpenAI({ baseURL: at.platform.baseUrl, apiKey, maxRetries: 0 });
  const upload = async (lines: readonly string[], of = client) =>
    of.files.create({ purpose: 'batch', file: await toFile(Buffer.from(lines.join('\n')), 'requests.jsonl') });
  const begin = (fileId: string, of = client, key?: string) =>
    of.batches.create(
      { input_file_id: fileId, endpoint: ENDPOINT, completion_window: '24h' },
      key === undefined ? {} : { headers: { 'idempotency-key': key } },
    );
  const ended = async <T extends { readonly status: string }>(ask: () => Promise<T>): Promise<T> => {
    const deadline = Date.now() + MOST_WAIT_MS;
    for (;;) {
      const found = await ask();
      if (ENDED.includes(found.status)) return found;
      if (Date.now() > deadline) throw new Error(`has not ended: ${JSON.stringify(found)}`);
      await delay(POLL_MS);
    }
  };
  const endOf = ({ id }: OpenAI.Batch) => ended(() => client.batches.retrieve(id));
  const linesOf = async (fileId: string | null | undefined) => {
    if (fileId == null) return [];
    const text = await (await client.files.content(fileId)).text();
    expect(text.endsWith('\n')).toBe(true);
    return text
      .slice(0, -1)
      .split('\n')
      .map((line) => JSON.parse(line) as ResultLine);
  };
  const refusal = async (call: Promise<unknown>) => {
    const error = await call.catch((thrown: unknown) => thrown);
    if (!(error instanceof OpenAI.APIError)) throw new Error(`was not refused: ${JSON.stringify(error)}`);
    return { status: error.status as number, code: error.code, param: error.param, message: error.message };
  };

  beforeAll(async () => {
    at = await surroundings();
    client = clientOf(ROOMY_KEY);
  }, 60_000);

  afterAll(() => at.end(), 20_000);

  it('uploads, creates, polls and downloads: one answer for each request', async () => {
    const file = await upload(manyRequests(30));
    expect(await client.files.retrieve(file.id)).toEqual(file);
    const created = await client.batches.create({
      ...{ input_file_id: file.id, endpoint: ENDPOINT, completion_window: '24h', metadata: { run: 'nightly' } },
    });
    expect(created).toMatchObject({ object: 'batch', status: 'validating', metadata: { run: 'nightly' } });
    const batch = await endOf(created);
    expect(batch).toMatchObject({ status: 'completed', model: 'assistant', errors: null, error_file_id: null });
    expect(batch.request_counts).toEqual({ total: 30, completed: 30, failed: 0 });
    const output = await linesOf(batch.output_file_id);
    expect(output.map(({ custom_id: id, response }) => [id, response?.status_code])).toEqual(
      Array.from({ length: 30 }, (_unused, i) => [`request-${i}`, 200]),
    );
    for (const [i, { response }] of output.entries()) {
      expect(response?.body.choices[0]?.message.content).toBe(`This is primary, a model stub. You said: Number ${i}`);
    }
    const used = output.map(({ response }) => response!.body.usage!.total_tokens);
    expect(batch.usage?.total_tokens).toBe(used.reduce((sum, tokens) => sum + tokens, 0));
  }, 40_000);

  it('gets each bad line in the error file, with its line and the reason', async () => {
    const file = await upload([
      request('first', 'Good'),
      '{"custom_id":',
      request('first', 'Again'),
      request('unknown', 'x', { body: { model: 'no-such-model', messages: [{ role: 'user', content: 'x' }] } }),
      request('method', 'x', { method: 'GET' }),
      request('url', 'x', { url: '/v1/embeddings' }),
      request('shape', 'x', { body: { model: 'assistant', messages: 'none' } }),
      request('long', 'x'.repeat(1024 * 1024)),
      request('last', 'Good too'),
    ]);
    const batch = await endOf(await begin(file.id));
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 9, completed: 2, failed: 7 } });
    const good = await linesOf(batch.output_file_id);
    expect(good.map(({ custom_id: id }) => id)).toEqual(['first', 'last']);
    const bad = await linesOf(batch.error_file_id);
    expect(bad.map(({ custom_id: id, error }) => [error?.line, id, error?.code])).toEqual([
      [2, null, 'invalid_json_line'],
      [3, 'first', 'duplicate_custom_id'],
      [4, 'unknown', 'model_not_found'],
      [5, 'method', 'invalid_method'],
      [6, 'url', 'invalid_url'],
      [7, 'shape', 'invalid_request'],
      [8, null, 'line_too_long'],
    ]);
    expect(bad.map(({ error }) => error!.message.includes(`Line ${error!.line}`))).not.toContain(false);
  }, 40_000);

  it('sees a batch fail of which no line is good, with what is wrong', async () => {
    const failed = await endOf(await begin((await upload(['no JSON', '{}'])).id));
    expect(failed).toMatchObject({ status: 'failed', output_file_id: null, error_file_id: null });
    expect(failed.errors?.data).toMatchObject([
      { code: 'invalid_json_line', line: 1 },
      { code: 'missing_required_parameter', line: 2, param: 'custom_id' },
    ]);
  }, 40_000);

  it('cancels in the middle, and still gets one answer or one error for each request', async () => {
    const count = at.backlog;
    const begun = await begin((await upload(manyRequests(count))).id);
    let seen = begun;
    while ((seen.request_counts?.completed ?? 0) === 0 && !ENDED.includes(seen.status)) {
      seen = await client.batches.retrieve(begun.id);
    }
    expect((await client.batches.cancel(begun.id)).status).toBe('cancelling');
    const batch = await endOf(begun);
    expect(batch.status).toBe('cancelled');
    const [done, left] = [await linesOf(batch.output_file_id), await linesOf(batch.error_file_id)];
    expect(done.length).toBeGreaterThan(0);
    const ids = [...done, ...left].map(({ custom_id: id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toHaveLength(count);
    expect(left.length).toBeGreaterThan(0);
    expect(left.every(({ error }) => error?.code === 'batch_cancelled')).toBe(true);
    expect(batch.request_counts).toEqual({ total: count, completed: done.length, failed: 0 });
  }, 60_000);

  it('makes a batch once, however often it is asked for under one idempotency key', async () => {
    const [one, two] = [await upload([request('a', 'One')]), await upload([request('a', 'Two')])];
    const made = await begin(one.id, client, 'key-of-a-batch');
    expect((await begin(one.id, client, 'key-of-a-batch')).id).toBe(made.id);
    expect(await refusal(begin(two.id, client, 'key-of-a-batch'))).toMatchObject({
      ...{ status: 409, code: 'idempotency_key_reused' },
    });
    // Keys are each tenant's own.
    const other = clientOf(OTHER_KEY);
    const theirs = await begin((await upload([request('a', 'One')], other)).id, other, 'key-of-a-batch');
    expect(theirs.id).not.toBe(made.id);
    expect((await endOf(made)).request_counts?.completed).toBe(1);
  }, 40_000);

  it('lists its own files and batches, the newest first, page by page, and deletes', async () => {
    const other = clientOf(OTHER_KEY);
    const before = new Set((await other.batches.list({ limit: 100 })).data.map(({ id }) => id));
    const files: string[] = [];
    const batches: string[] = [];
    for (const id of ['a', 'b', 'c']) {
      files.unshift((await upload([request(id, id)], other)).id);
      batches.unshift((await begin(files[0]!, other)).id);
    }
    const listed: string[] = [];
    for await (const { id } of other.batches.list({ limit: 2 })) if (!before.has(id)) listed.push(id);
    expect(listed).toEqual(batches);
    const page = await other.files.list({ limit: 2, purpose: 'batch' });
    expect([page.data.map(({ id }) => id), page.has_more]).toEqual([files.slice(0, 2), true]);
    await ended(() => other.batches.retrieve(batches[2]!));
    expect(await other.files.delete(files[2]!)).toEqual({ id: files[2], object: 'file', deleted: true });
    const left = (await other.files.list({ purpose: 'batch' })).data.map(({ id }) => id);
    expect([left.includes(files[2]!), left.includes(files[1]!)]).toEqual([false, true]);
  }, 40_000);

  it('finds another tenant’s files and batches no more than those that do not exist', async () => {
    const stranger = clientOf(OTHER_KEY);
    const file = await upload([request('mine', 'Mine')]);
    const batch = await begin(file.id);
    const [noFile, noBatch] = [`file-${'0'.repeat(26)}`, `batch_${'0'.repeat(26)}`];
    const tries = (fileId: string, batchId: string) =>
      Promise.all(
        [
          stranger.files.retrieve(fileId),
          stranger.files.content(fileId),
          stranger.files.delete(fileId),
          begin(fileId, stranger),
          stranger.batches.retrieve(batchId),
          stranger.batches.cancel(batchId),
        ].map(refusal),
      );
    const [foreign, absent] = [await tries(file.id, batch.id), await tries(noFile, noBatch)];
    expect(foreign.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404, 404]);
    const renamed = (text: string) => text.replace(file.id, noFile).replace(batch.id, noBatch);
    expect(foreign.map((told) => ({ ...told, message: renamed(told.message) }))).toEqual(absent);
    expect((await endOf(batch)).status).toBe('completed');
    expect(await refusal(client.batches.cancel(batch.id))).toMatchObject({ status: 400 });
  }, 40_000);

  it('has a single job done, told by its address', async () => {
    const body = { model: 'assistant', messages: [{ role: 'user', content: 'A job' }] };
    const accepted = await client.post('/jobs', { body }).asResponse();
    const { id } = (await accepted.json()) as Job;
    expect([accepted.status, accepted.headers.get('location')]).toEqual([202, `/v1/jobs/${id}`]);
    const job = await ended(() => client.get<Job>(`/jobs/${id}`));
    expect(job).toMatchObject({ status: 'completed', response: { status_code: 200 } });
    expect(job.response?.body.choices[0]?.message.content).toBe('This is primary, a model stub. You said: A job');
    await expect(clientOf(OTHER_KEY).get(`/jobs/${id}`)).rejects.toMatchObject({ status: 404 });
  }, 40_000);

  it('uploads a file that is larger than a request to an address of its own, and is sent there to read it', async () => {
    // The workers pass over what is no part of a request: large lines of few tokens.
    const text = Array.from({ length: 7 }, (_unused, i) =>
      request(`large-${i}`, `Large ${i}`, { padding: 'x'.repeat(1_000_000) }),
    ).join('\n');
    const whole = upload([text]);
    expect(await refusal(whole)).toMatchObject({ status: 413, message: expect.stringContaining('upload_url') });

    const announcement = { purpose: 'batch', filename: 'large ü.jsonl', bytes: text.length };
    const file = await client.post<OpenAI.FileObject & { upload_url: string }>('/files', { body: announcement });
    expect(file.status).toBe('pending');
    // The address is for exactly so many bytes; where nobody holds an upload against that, the file is an error.
    const short = await fetch(file.upload_url, { method: 'PUT', body: text.slice(1) });
    expect(short.status).toBe(at.refusesOtherSizes ? 403 : 200);
    expect((await client.files.retrieve(file.id)).status).toBe(at.refusesOtherSizes ? 'pending' : 'error');
    expect(await refusal(begin(file.id))).toMatchObject({
      ...{ status: 400, code: at.refusesOtherSizes ? 'file_not_uploaded' : 'file_incomplete' },
    });
    expect((await fetch(file.upload_url, { method: 'PUT', body: text })).status).toBe(200);
    expect(await client.files.retrieve(file.id)).toMatchObject({ status: 'uploaded', bytes: text.length });

    const answer = await fetch(`${at.platform.baseUrl}/files/${file.id}/content`, {
      ...{ headers: { authorization: `Bearer ${ROOMY_KEY}` }, redirect: 'manual' },
    });
    expect([answer.status, answer.headers.has('location')]).toEqual([302, true]);
    expect((await (await client.files.content(file.id)).text()) === text).toBe(true);

    const batch = await endOf(await begin(file.id));
    expect(batch.request_counts).toEqual({ total: 7, completed: 7, failed: 0 });
  }, 60_000);
});
