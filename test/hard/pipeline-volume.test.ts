import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it, jest } from '@jest/globals';
import { seededRandom } from '../../bin/simulate/random';
import { CliProcess } from '../end-to-end/processes';
import { AS_OF, order, ORDERS, PipelineSandbox } from './pipeline-corpus';
import { report } from './report';

/** PIPELINE_RECORDS=1000000 is the full size; the room stays the same. */
const RECORDS = Number(process.env.PIPELINE_RECORDS ?? 100_000);

/** Less than the records of the default size take in memory as objects. */
const HEAP_MEGABYTES = 96;

jest.setTimeout(600_000);

describe('a large input', () => {
  const sandbox = new PipelineSandbox({ ...ORDERS, stages: ORDERS.stages.slice(0, 1) });
  afterAll(() => sandbox.remove());

  it(`of ${RECORDS} records goes through in a heap of ${HEAP_MEGABYTES} MB, each duplicate found`, async () => {
    const random = seededRandom(1, 1);
    mkdirSync(sandbox.path('input'));
    let duplicates = 0;
    for (let i = 0; i < RECORDS; i += 10_000) {
      const lines: string[] = [];
      for (let j = i; j < Math.min(RECORDS, i + 10_000); j++) {
        const isDuplicate = j % 1000 === 999;
        duplicates += isDuplicate ? 1 : 0;
        // Of a record far away, so that no window of the input would find it.
        lines.push(`${JSON.stringify(order(isDuplicate ? (j >> 1) - 1 : j, random))}\n`);
      }
      appendFileSync(join(sandbox.path('input'), 'orders.jsonl'), lines.join(''));
    }
    const started = performance.now();
    const run = new CliProcess(['pipeline', 'run', ...sandbox.args(), '--as-of', AS_OF], {
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MEGABYTES}`,
    });
    expect([await run.exitCode(), run.errors]).toEqual([0, '']);
    const seconds = (performance.now() - started) / 1000;
    expect(run.output).toContain(`check/one-id-each: ${String(duplicates).replace(/\B(?=(\d{3})+$)/g, ',')}\n`);
    expect(run.output).toContain(`published     ${String(RECORDS - duplicates).replace(/\B(?=(\d{3})+$)/g, ',')}\n`);
    report('volume', {
      records: RECORDS,
      heapMegabytes: HEAP_MEGABYTES,
      duplicates,
      perSecond: Math.round(RECORDS / seconds),
    });
  });
});
