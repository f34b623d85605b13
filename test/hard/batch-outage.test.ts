import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis as Valkey } from 'ioredis';
import { BatchPlatform } from './batch/batch-platform';
import { batchPolicy } from './batch/batch-policy';
import { describeOnRealStore } from './real-store';
import { report } from './report';

/** `HARD_OUTAGE_SECONDS=300` for one of five minutes. */
const OUTAGE_MS = Number(process.env.HARD_OUTAGE_SECONDS ?? 15) * 1000;
const ITEMS = Number(process.env.HARD_ITEMS ?? 600);

jest.setTimeout(OUTAGE_MS * 4 + 240_000);

describeOnRealStore('a batch whose backend is down in the middle', () => {
  let platform: BatchPlatform;
  let store: Valkey;

  beforeAll(async () => {
    platform = await BatchPlatform.start(
      (url) =>
        batchPolicy(url, {
          tenants: ['acme'],
          backend: { breaker: { minimumCalls: 20, openMs: 1000, maxOpenMs: 4000 } },
          model: { degradedAnswer: 'Please try again.' },
        }),
      { timeoutMs: 60_000, batchSize: 10, parallel: 1, twice: 0 },
    );
    store = new Valkey(platform.environment.STORE_URL!);
  });
  afterAll(async () => {
    store.disconnect();
    await platform.close();
  });

  it('waits for it, sets nothing aside for it, and ends complete', async () => {
    await platform.model.ask({ answerMs: 50 });
    const id = await platform.begin(
      'acme',
      Array.from({ length: ITEMS }, (_, i) => `text ${i}`),
    );
    await platform.startWorkers(2);
    await platform.untilEnded(id, ITEMS / 5);
    const before = await platform.model.ask({ failing: 1 });
    const opened: (string | null)[] = [];
    for (const end = Date.now() + OUTAGE_MS; Date.now() < end; await pause(500)) {
      opened.push(await store.hget('breaker:{model}', 'status'));
    }
    const during = await platform.model.ask({ failing: 0 });
    const { batch, output, errors } = await platform.end('acme', id);
    const dead = await platform.deadLetters();
    report('batch with an outage', {
      ...{ items: ITEMS, outageSeconds: OUTAGE_MS / 1000, callsInVain: during.calls - before.calls },
      ...{ openShare: opened.filter((status) => status === 'open').length / opened.length },
      ...{ completed: output.length, errors: errors.length, dead: dead.length },
    });
    expect(opened).toContain('open');
    // The breaker spares the backend: probes, and what was on its way when it opened.
    expect(during.calls - before.calls).toBeLessThan(ITEMS / 2);
    expect(batch.status).toBe('completed');
    expect([output.length, errors.length, dead]).toEqual([ITEMS, 0, []]);
    expect(output.every(({ response }) => JSON.stringify(response!.body).includes('answer to text'))).toBe(true);
  });
});
