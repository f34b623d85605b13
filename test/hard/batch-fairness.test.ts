import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { BatchPlatform } from './batch/batch-platform';
import { batchPolicy } from './batch/batch-policy';
import { describeOnRealStore } from './real-store';
import { report } from './report';

const SMALL = 40;
const TIMES = 50;
/** As many as `parallelItems` comes to where a policy does not set it. */
const WORKERS = 10;
const ROUNDS = 3;

jest.setTimeout(240_000);

describeOnRealStore('two tenants, one with fifty times the work of the other', () => {
  let platform: BatchPlatform;

  beforeAll(async () => {
    platform = await BatchPlatform.start((url) => batchPolicy(url, { tenants: ['large', 'small'] }), {
      timeoutMs: 60_000,
      batchSize: 5,
      parallel: 1,
      twice: 0,
    });
  });
  afterAll(() => platform.close());

  /** Mean time from the order of the small tenant's batch to the answers of its items. */
  async function meanWait(name: string): Promise<number> {
    const started = Date.now();
    const id = await platform.begin(
      'small',
      Array.from({ length: SMALL }, (_, i) => `${name} ${i}`),
    );
    await platform.untilEnded(id, SMALL);
    const { answeredAt } = await platform.model.ask({ timesOf: name });
    expect(answeredAt).toHaveLength(SMALL);
    return answeredAt.reduce((sum, at) => sum + at - started, 0) / SMALL;
  }

  async function meanOf(name: string): Promise<number> {
    let sum = 0;
    for (let round = 1; round <= ROUNDS; round++) sum += await meanWait(`${name} ${round}:`);
    return sum / ROUNDS;
  }

  it('do not keep each other waiting: the small one waits at most twice as long as alone', async () => {
    await platform.model.ask({ answerMs: 1000, spread: 0.5 });
    await platform.startWorkers(WORKERS);
    await meanWait('warm');
    const alone = await meanOf('alone');
    const large = await platform.begin(
      'large',
      Array.from({ length: SMALL * TIMES }, (_, i) => `large ${i}`),
    );
    await platform.untilEnded(large, 60);
    const beside = await meanOf('beside');
    const ended = await platform.ended(large);
    report('mean wait of the small tenant', { aloneMs: alone, besideMs: beside, ratio: beside / alone, ended });
    // The large one was busy all the while.
    expect(ended).toBeLessThan(SMALL * TIMES);
    expect(beside / alone).toBeLessThanOrEqual(2);
  });
});
