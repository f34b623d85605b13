import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { BatchPlatform } from './batch/batch-platform';
import { batchPolicy } from './batch/batch-policy';
import { describeOnRealStore } from './real-store';
import { report } from './report';

/** `HARD_ITEMS=20000` for a long one. */
const ITEMS = Number(process.env.HARD_ITEMS ?? 2000);
const WORKERS = 3;
/** What the model refuses begins so. */
const REFUSED_TEXT = 'refuse';
const KILL_EVERY_MS = Number(process.env.HARD_KILL_MS ?? 1000);

jest.setTimeout(120_000 + ITEMS * 30);

describeOnRealStore('a batch whose workers are killed', () => {
  let platform: BatchPlatform;

  beforeAll(async () => {
    platform = await BatchPlatform.start(
      // The breaker stays out of this: a fifth of the calls fails for good.
      (url) => batchPolicy(url, { tenants: ['acme'], backend: { breaker: { failureRate: 1 } } }),
      { timeoutMs: 8000, batchSize: 10, parallel: 1, twice: 0.1 },
    );
  });
  afterAll(() => platform.close());

  it('has exactly one result or error for each item, whatever is killed, delivered twice or failing', async () => {
    const texts = Array.from({ length: ITEMS }, (_, i) => (i % 20 === 7 ? `${REFUSED_TEXT} ${i}` : `text ${i}`));
    await platform.model.ask({ answerMs: 20, failing: 0.2, refusing: REFUSED_TEXT });
    const started = performance.now();
    const id = await platform.begin('acme', texts);
    await platform.startWorkers(WORKERS);
    let kills = 0;
    let isOver = false;
    const killing = (async () => {
      while (!isOver) {
        await pause(KILL_EVERY_MS);
        await platform.replaceWorker();
        kills += 1;
      }
    })();
    await platform.untilEnded(id, ITEMS);
    isOver = true;
    await killing;
    const { batch, output, errors } = await platform.end('acme', id);
    const seconds = (performance.now() - started) / 1000;
    const { calls, answers, repeated } = await platform.model.ask({});
    const dead = await platform.deadLetters();
    report('batch of killed workers', {
      ...{ items: ITEMS, seconds: Math.round(seconds), kills, calls, answers, repeated, dead: dead.length },
      ...{ status: batch.status, completed: output.length, errors: errors.length },
    });
    expect(batch.status).toBe('completed');
    expect(kills).toBeGreaterThan(0);
    const byId = new Map<string, number>();
    for (const { custom_id: customId } of [...output, ...errors]) byId.set(customId!, (byId.get(customId!) ?? 0) + 1);
    texts.forEach((_, i) => {
      expect([`item-${i + 1}`, byId.get(`item-${i + 1}`)]).toEqual([`item-${i + 1}`, 1]);
    });
    expect(byId.size).toBe(ITEMS);
    for (const { custom_id: customId, response } of output) {
      const text = texts[Number(customId!.slice(5)) - 1]!;
      expect(JSON.stringify(response!.body)).toContain(`"answer to ${text}"`);
    }
    const refused = texts.filter((text) => text.startsWith(REFUSED_TEXT)).length;
    expect(errors.map(({ response }) => response?.status_code)).toEqual(Array.from({ length: refused }, () => 400));
    expect(dead).toEqual([]);
    expect(batch.result!.tally).toMatchObject({ completed: ITEMS - refused, failed: refused, skipped: 0 });
  });
});
