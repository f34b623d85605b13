import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { BatchPlatform } from './batch/batch-platform';
import { batchPolicy } from './batch/batch-policy';
import { HANDLER_FILE } from './function-instances';
import { describeOnRealStore } from './real-store';
import { quantile, report } from './report';
import { WorkerProcess } from './worker-process';
import type { Call, Reply } from './workers/function-instance';

const SECONDS = Number(process.env.HARD_SECONDS ?? 12);
/** Requests a second of interactive clients, each of which takes the model so long: what the ceiling keeps free bears them. */
const RATE = 5;
const ANSWER_MS = 1000;
/** Requests that the model works on at the same time; more of them wait. */
const SLOTS = 20;
/** Of a request as this test sends it: what is said, and the answer. */
const TOKENS = 23;
const BACKLOG = 2000;

jest.setTimeout(SECONDS * 4000 + 120_000);

describeOnRealStore('interactive requests beside a full backlog of batches', () => {
  let platform: BatchPlatform;
  let gateway: WorkerProcess<Call, Reply>;

  beforeAll(async () => {
    platform = await BatchPlatform.start(
      (url) => batchPolicy(url, { tenants: ['acme', 'globex'], backend: { capacityTokens: SLOTS * TOKENS } }),
      { timeoutMs: 60_000, batchSize: 10, parallel: 1, twice: 0 },
    );
    gateway = await WorkerProcess.start<Call, Reply>('function-instance', { ...platform.environment, HANDLER_FILE });
  });
  afterAll(async () => {
    await gateway.kill();
    await platform.close();
  });

  /** Milliseconds of each of some seconds' requests, which come at an even pace whether or not others are answered. */
  async function latencies(seconds: number): Promise<number[]> {
    const replies: Promise<Reply>[] = [];
    for (let i = 0; i < RATE * seconds; i++) {
      const body = { model: 'llama', messages: [{ role: 'user', content: `urgent ${i}` }], max_tokens: 20 };
      replies.push(gateway.ask({ body, tenant: 'globex', plan: 'standard' }));
      await pause(1000 / RATE);
    }
    const all = await Promise.all(replies);
    expect(all.filter(({ status }) => status !== 200)).toEqual([]);
    return all.map(({ milliseconds }) => milliseconds);
  }

  it('are answered as fast as without it: p99 at most 1.1 times', async () => {
    await platform.model.ask({ answerMs: ANSWER_MS, slots: SLOTS });
    await latencies(3);
    const without = await latencies(SECONDS);
    const id = await platform.begin(
      'acme',
      Array.from({ length: BACKLOG }, (_, i) => `text ${i}`),
    );
    await platform.startWorkers(3);
    await platform.untilEnded(id, 20);
    const before = await platform.ended(id);
    const beside = await latencies(SECONDS);
    const done = (await platform.ended(id)) - before;
    const { mostAtOnce } = await platform.model.ask({});
    const [p99, p99Beside] = [quantile(without, 0.99), quantile(beside, 0.99)];
    report('interactive latency', {
      ...{ p50: quantile(without, 0.5), p50Beside: quantile(beside, 0.5), p99, p99Beside, ratio: p99Beside / p99 },
      ...{ batchItems: done, mostAtOnce },
    });
    // The backlog was there all the while, and the work below the ceiling went on.
    expect(before + done).toBeLessThan(BACKLOG);
    expect(done).toBeGreaterThan(0);
    expect(mostAtOnce).toBeLessThanOrEqual(SLOTS);
    expect(p99Beside / p99).toBeLessThanOrEqual(1.1);
  });
});
