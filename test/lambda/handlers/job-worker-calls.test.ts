import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { toFile } from 'openai';
import { startEmbeddedStore } from '../../../bin/start/embedded-store';
import type { ItemMessage } from '../../../lambda/queueing/item';
import { answeredLine } from '../../../lambda/queueing/result-line';
import type { StoreServer } from '../../store-servers';
import { hasMoto } from '../moto-server';
import { answer, BatchAccount, chatLine, POLICY } from '../queueing/batch-account';
import { callsOf, type Recorder, startRecorder } from '../recorded-calls';
import { HEALTHY, startBackend, type StubBackend } from '../stub-backend';

const run = promisify(execFile);
const HANDLER = pathToFileURL(resolve(__dirname, '../../../dist/handlers/job-worker/index.mjs')).href;

/** Invokes the built handler once, with its whole time left. */
const INVOKE = `
  const { handler } = await import(process.argv[1]);
  const answer = await handler(JSON.parse(process.argv[2]), { getRemainingTimeInMillis: () => 600_000 });
  process.stderr.write(JSON.stringify(answer), () => process.exit());`;

if (!hasMoto) {
  it.skip('calls of AWS by workers: python3 lacks moto, install it by python3 -m pip install "moto[server]"', () => {
    throw new Error('unreachable');
  });
} else {
  describe('what the built job-worker calls of AWS', () => {
    let account: BatchAccount;
    let backend: StubBackend;
    let store: StoreServer;
    let recorder: Recorder;

    beforeAll(async () => {
      backend = await startBackend((response, call) => {
        if (JSON.stringify(call.body).includes('fail')) response.writeHead(500).end();
        else HEALTHY(response, call);
      });
      store = await startEmbeddedStore();
      const backends = [{ name: 'gpu', url: backend.url, retries: { max: 0 } }];
      account = await BatchAccount.start({ ...POLICY, backends });
      const environment = { ...account.environment, STORE_URL: store.url, STORE_TIMEOUT_MS: '2000' };
      recorder = await startRecorder('job-worker', environment);
    }, 90_000);
    afterAll(() => Promise.all([account.end(), recorder.close(), store.close(), backend.close()]));

    /** All that waits for workers. */
    const waiting = async () => {
      const queue = account.queue('WORK');
      const bodies: string[] = [];
      for (let received = await queue.receive(); received.length > 0; received = await queue.receive()) {
        bodies.push(...received.map(({ body }) => body));
        await queue.remove(received.map(({ receipt }) => receipt));
      }
      return bodies;
    };
    const invoke = async (bodies: readonly string[]) => {
      const event = { Records: bodies.map((body, i) => ({ messageId: `m${i}`, body })) };
      const args = ['--input-type=module', '-e', INVOKE, HANDLER, JSON.stringify(event)];
      const { stderr } = await run(process.execPath, args, { env: recorder.environment });
      return JSON.parse(stderr) as unknown;
    };

    it('works on the lines of a file and on a job, puts one off, and sets aside what nobody can read', async () => {
      const client = account.client('acme');
      const lines = [chatLine('ok'), chatLine('off', 'fail'), chatLine('known')];
      const { id: input_file_id } = await client.files.create({
        ...{ purpose: 'batch', file: await toFile(Buffer.from(lines.join('\n')), 'requests.jsonl') },
      });
      const endpoint = '/v1/chat/completions';
      const batch = await client.batches.create({ input_file_id, endpoint, completion_window: '24h' });
      await account.control();
      const request = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] };
      const job = await client.post<{ id: string }>('/jobs', { body: request });
      // Its worker died after it had written the result.
      const known = { tenant: 'acme', batchId: batch.id, line: 3 };
      await account.stores.results.write(known, answeredLine(known, 'known', answer('Known')));

      expect(await invoke([...(await waiting()), 'no message'])).toEqual({ batchItemFailures: [] });

      await account.control();
      expect(await client.get(`/jobs/${job.id}`)).toMatchObject({ status: 'completed' });
      const { request_counts: counts } = await client.batches.retrieve(batch.id);
      expect(counts).toEqual({ total: 3, completed: 2, failed: 0 });
      const [dead] = await account.queue('DEAD_LETTER').receive();
      expect(dead).toMatchObject({ body: 'no message', attributes: { reason: 'unreadable' } });
    }, 60_000);

    it('gives back what it could not work on', async () => {
      const client = account.client('acme');
      const request = { model: 'llama', messages: [{ role: 'user', content: 'fail' }] };
      await client.post('/jobs', { body: request });
      const bodies = (await waiting()).filter((body) => (JSON.parse(body) as ItemMessage).batchId.startsWith('job_'));
      expect(await invoke(bodies)).toEqual({ batchItemFailures: [] });
      const { ApproximateNumberOfMessagesDelayed: delayed } = await account
        .queue('WORK')
        .attributes(['ApproximateNumberOfMessagesDelayed']);
      expect(Number(delayed)).toBeGreaterThanOrEqual(1);
    }, 60_000);

    it('is what is recorded, and its role permits', () => {
      const { recorded, seen } = callsOf('job-worker', 'items');
      expect(seen).toEqual(recorded);
    });
  });
}
