import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { policyFile } from '../end-to-end/policy';
import { type RunningPlatform, startPlatform } from '../end-to-end/processes';
import { faultOfRefusal } from './error-object';
import { HANDLER_FILE } from './function-instances';
import { type MalformedRequest, malformedRequests } from './malformed-requests';
import { ModelServerProcess } from './model-server';
import { report } from './report';
import { WorkerProcess } from './worker-process';
import type { Hits, Volley } from './workers/malformed-calls';

/** Requests: `HARD_REQUESTS=10000` for a long run. A quarter of them warms up. */
const REQUESTS = Number(process.env.HARD_REQUESTS ?? 2000);
const WARM_UP = REQUESTS / 4;
const SEED = Number(process.env.HARD_SEED ?? 20_261_123);

/** What is compiled late and kept by Node, and less for a request than the smallest thing that could leak of it. */
const MOST_GROWTH = 2_000_000 + (REQUESTS - WARM_UP) * 100;

const POLICY = {
  plans: [{ name: 'roomy', requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000, maxTokensPerRequest: 8192 }],
  tenants: [{ name: 'acme', plan: 'roomy' }],
  backends: [{ name: 'model' }],
  models: [
    { name: 'llama', backends: ['model'] },
    { name: 'base', kind: 'completion', backends: ['model'] },
    { name: 'embedder', kind: 'embedding', backends: ['model'] },
  ],
};

/** Cache keys are made of whatever was sent. Not over HTTP: the local run's store would keep answers in the heap. */
const CACHING_POLICY = { ...POLICY, cache: { ttlSeconds: 60 } };

jest.setTimeout(30_000 + REQUESTS * 30);

let model: ModelServerProcess;

beforeAll(async () => {
  model = await ModelServerProcess.start();
});

afterAll(() => model.kill());

describe('malformed requests to the platform', () => {
  const heapFile = join(mkdtempSync(join(tmpdir(), 'heap-')), 'heap.json');
  const agent = new Agent({ keepAlive: true });
  let platform: RunningPlatform;

  beforeAll(async () => {
    platform = await startPlatform(['--policy', policyFile(POLICY), '--backend', `model=${model.url}`], {
      NODE_OPTIONS: `--expose-gc --require ${join(__dirname, 'heap-probe.cjs')}`,
      HEAP_FILE: heapFile,
    });
  });

  afterAll(async () => {
    agent.destroy();
    await platform.process.end();
  });

  it('are refused with an error object, one and all, and leave nothing behind', async () => {
    const statuses: Record<number, number> = {};
    const wrong: string[] = [];
    let heap = 0;
    for (const [number, request] of malformedRequests(SEED, REQUESTS).entries()) {
      if (number === WARM_UP) heap = await heapOf();
      const [status, body] = await answerTo(request);
      statuses[status] = (statuses[status] ?? 0) + 1;
      const fault = request.mayPass && status === 200 ? undefined : faultOfRefusal(status, body);
      if (fault) wrong.push(`${request.fault}, ${request.method} ${request.path.slice(0, 40)}: ${status}, ${fault}`);
    }
    const growth = (await heapOf()) - heap;
    report('malformed, over HTTP', { requests: REQUESTS, statuses, wrong: wrong.length, heap, growth });
    expect([...new Set(wrong)]).toEqual([]);
    expect(growth).toBeLessThan(MOST_GROWTH);
    expect(platform.process.errors).toBe('');
  });

  async function answerTo({ method, path, headers, body, known }: MalformedRequest): Promise<[number, string]> {
    const { origin } = new URL(platform.baseUrl);
    const key = known ? { authorization: `Bearer ${platform.demoKey}` } : {};
    const length = { 'content-length': String(body.length) };
    return new Promise((resolve, reject) => {
      const sent = send(
        `${origin}${path}`,
        { method, agent, headers: { ...key, ...length, ...headers } },
        (response) => {
          text(response).then((answer) => resolve([response.statusCode ?? 0, answer]), reject);
        },
      );
      sent.once('error', (error) => resolve([0, String(error)]));
      sent.end(body);
    });
  }

  async function heapOf(): Promise<number> {
    rmSync(heapFile, { force: true });
    process.kill(Number(readFileSync(`${heapFile}.pid`, 'utf8')), 'SIGUSR2');
    while (!existsSync(heapFile)) await pause(20);
    return (JSON.parse(readFileSync(heapFile, 'utf8')) as { readonly heapUsed: number }).heapUsed;
  }
});

describe('malformed events to the function', () => {
  it('are refused with an error object, whatever API Gateway let through, and leave nothing behind', async () => {
    const environment = {
      HANDLER_FILE,
      POLICY_FILE: policyFile(CACHING_POLICY),
      STORE_URL: 'redis://127.0.0.1:1',
      BACKENDS: JSON.stringify({ model: { url: model.url } }),
      AWS_REGION: 'eu-west-1',
    };
    const worker = await WorkerProcess.start<Volley, Hits>('malformed-calls', environment, ['--expose-gc']);
    const warm = await worker.ask({ seed: SEED + 1, count: WARM_UP });
    const hits = await worker.ask({ seed: SEED, count: REQUESTS - WARM_UP });
    const growth = hits.heapUsed - warm.heapUsed;
    report('malformed, to the function', { ...hits, heapUsed: warm.heapUsed, growth });
    await worker.kill();
    expect([...warm.wrong, ...hits.wrong]).toEqual([]);
    expect(growth).toBeLessThan(MOST_GROWTH);
  });
});
