import { describe, expect, it } from '@jest/globals';
import { runRounds } from '../../../lambda/auto-scaling/rounds';

/** Makes the rounds of an invocation of a minute; each takes as long as `lasts` says of it, or fails. */
async function rounds(lasts: (index: number) => number | Error, limitMs = 60_000) {
  let now = 500;
  const started: number[] = [];
  const warnings: string[] = [];
  const made = runRounds(
    () => {
      const ms = lasts(started.push(now) - 1);
      if (ms instanceof Error) return Promise.reject(ms);
      now += ms;
      return Promise.resolve();
    },
    ({ message }) => warnings.push(message),
    {
      now: () => now,
      pause: (ms) => Promise.resolve((now += ms)),
      remainingMs: () => 500 + limitMs - now,
    },
  );
  const failure = await made.then(
    () => undefined,
    (error: Error) => error.message,
  );
  return { started: started.map((time) => time - 500), warnings, failure, ended: now - 500 };
}

describe('the rounds of a minute', () => {
  it('begin every ten seconds, however long each takes, and end before the next minute', async () => {
    expect(await rounds((i) => 300 * i)).toEqual({
      ...{ started: [0, 10_000, 20_000, 30_000, 40_000, 50_000], warnings: [], failure: undefined, ended: 51_500 },
    });
  });

  it('leave out those that a slow one has overrun', async () => {
    const { started } = await rounds((i) => (i === 1 ? 14_000 : 100));
    expect(started).toEqual([0, 10_000, 30_000, 40_000, 50_000]);
  });

  it('stop while there is time to end well', async () => {
    expect((await rounds(() => 100, 40_000)).started).toEqual([0, 10_000, 20_000, 30_000]);
  });

  it('go on after one that failed, and warn of it', async () => {
    const { started, warnings, failure } = await rounds((i) => (i === 2 ? new Error('throttled') : 100));
    expect([started.length, warnings, failure]).toEqual([6, ['throttled'], undefined]);
  });

  it('fail together where all of them failed, or none was made', async () => {
    expect((await rounds((i) => new Error(`round ${i}`))).failure).toBe('round 5');
    expect((await rounds(() => 0, 7000)).failure).toBe('no round was made: less than 8000 ms were left');
  });
});
