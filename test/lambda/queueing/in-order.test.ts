import { describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { inOrder } from '../../../lambda/queueing/in-order';
import { OutputFile } from '../../../lambda/queueing/output-file';

async function* listed(items: readonly number[]): AsyncGenerator<number> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

describe('tasks in order', () => {
  it('hand on each result in its turn, and never run more at once than allowed', async () => {
    const delays = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(delays, fc.integer({ min: 0, max: 5 }), async (items, most) => {
        let [running, peak] = [0, 0];
        const results: number[] = [];
        const task = async (delay: number) => {
          peak = Math.max(peak, ++running);
          await pause(delay);
          running--;
          return delay;
        };
        for await (const result of inOrder(listed(items), () => most, task)) results.push(result);
        expect(results).toEqual(items);
        expect(peak).toBeLessThanOrEqual(Math.max(1, most));
      }),
      { numRuns: 30 },
    );
  });

  it('end with the first failure, once nothing runs any more', async () => {
    let running = 0;
    const task = async (item: number) => {
      running++;
      await pause(item === 2 ? 1 : 5);
      running--;
      if (item === 2) throw new Error('two');
      return item;
    };
    const results: number[] = [];
    const all = async () => {
      for await (const result of inOrder(listed([1, 2, 3, 4]), () => 3, task)) results.push(result);
    };
    await expect(all()).rejects.toThrow('two');
    expect([results, running]).toEqual([[1], 0]);
  });
});

describe('an output file', () => {
  it('holds the writer up until what was written is taken', async () => {
    let take = (): void => undefined;
    const taken: string[] = [];
    const file = new OutputFile(async (chunks) => {
      await new Promise<void>((go) => (take = go));
      for await (const chunk of chunks) taken.push(Buffer.from(chunk).toString());
      return { bytes: taken.join('').length };
    }, 4);
    await file.write(Buffer.from('one'));
    let written = false;
    const second = file.write(Buffer.from('two')).then(() => (written = true));
    await pause(5);
    expect(written).toBe(false);
    take();
    await second;
    expect(await file.end()).toBe(6);
    expect(taken).toEqual(['one', 'two']);
  });

  it('is not made without a chunk, and tells its writer where its upload fails', async () => {
    const unused = new OutputFile(() => Promise.reject(new Error('begun')));
    expect(await unused.end()).toBe(0);
    const failing = new OutputFile(() => Promise.reject(new Error('refused')), 0);
    await expect(failing.write(Buffer.from('x'))).rejects.toThrow('refused');
    await expect(failing.end()).rejects.toThrow('refused');
  });

  it('stops its upload when it is broken off', async () => {
    let outcome = '';
    const file = new OutputFile(async (chunks) => {
      try {
        for await (const _ of chunks);
        outcome = 'stands';
      } catch (error) {
        outcome = (error as Error).message;
        throw error;
      }
      return { bytes: 0 };
    });
    await file.write(Buffer.from('x'));
    await file.abort(new Error('broken off'));
    expect(outcome).toBe('broken off');
  });
});
