import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ApiError } from '../../../lambda/gateway/api-error';
import {
  advanceFinal,
  advanceSplit,
  cancelled,
  endingOf,
  failed,
  finalised,
  held,
  LET_GO,
  outdated,
  WINDOW_SECONDS,
} from '../../../lambda/queueing/batch-life';
import { type BatchRecord, type BatchStatus, hasEnded } from '../../../lambda/queueing/batch-record';
import { claimable } from '../../../lambda/queueing/claim';
import { repairOf } from '../../../lambda/queueing/sweep';
import { batchOf, NOW } from './fixture';

const BATCH = batchOf(Buffer.from('x'));
const IDS = { outputFileId: 'file-o', errorFileId: 'file-e' };
const NONE = { completed: 0, failed: 0, skipped: 0 };
const TALLY = { ...NONE, tokens: { input: 0, cached: 0, output: 0, reasoning: 0 } };
const FAULT = { code: 'x', message: 'x', param: null, line: 1 };

const flight = (from: number, lines: number, sent: number, done: boolean, by = 'a') => ({
  ...{ line: from + lines, offset: (from + lines) * 10, sent, rejected: from + lines - sent, done, by },
  ...{ models: sent > 0 ? ['llama'] : [], faults: [FAULT] },
});
const split = (sent: number, total = sent) => advanceSplit(BATCH, 0, flight(0, total, sent, true), NOW)!;
const closed = (batch: BatchRecord, counts = { ...NONE, completed: 99 }, now = NOW) => endingOf(batch, counts, now);

/** Where a batch may go from each state. */
const NEXT: Readonly<Record<BatchStatus, readonly BatchStatus[]>> = {
  validating: ['in_progress', 'failed', 'cancelling', 'finalizing'],
  in_progress: ['finalizing', 'cancelling', 'failed'],
  finalizing: ['completed', 'expired', 'failed'],
  cancelling: ['cancelled', 'failed'],
  completed: [],
  expired: [],
  cancelled: [],
  failed: [],
};

describe('the life of a batch', () => {
  it('goes from state to state as OpenAI’s does, whatever comes in whatever order, and ends once', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('split' as const), lines: fc.nat(5), good: fc.nat(5), done: fc.boolean() }),
      fc.record({ kind: fc.constantFrom('cancel' as const, 'fail' as const, 'outdate' as const) }),
      fc.record({ kind: fc.constant('close' as const), counted: fc.nat(12), after: fc.nat(WINDOW_SECONDS * 2) }),
      fc.record({ kind: fc.constantFrom('hold' as const, 'end' as const), owner: fc.constantFrom('a', 'b') }),
    );
    type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let batch = BATCH;
        let now = NOW;
        for (const taken of steps) {
          now += 60;
          const next = apply(batch, taken, now);
          if (!next) continue;
          if (next.status !== batch.status) expect(NEXT[batch.status]).toContain(next.status);
          if (hasEnded(batch)) expect(next.endedAt).toBe(batch.endedAt);
          if (hasEnded(next)) expect(next.endedAt).toEqual(expect.any(Number));
          expect(next.split.line).toBeGreaterThanOrEqual(batch.split.line);
          expect(next.split.sent + next.split.rejected).toBe(next.split.line);
          if (batch.ending !== undefined && next.status !== 'failed') expect(next.ending).toBe(batch.ending);
          batch = next;
        }
      }),
    );

    function apply(batch: BatchRecord, taken: Step, now: number) {
      switch (taken.kind) {
        case 'split': {
          const { line, sent } = batch.split;
          const progress = flight(line, taken.lines, sent + Math.min(taken.good, taken.lines), taken.done, `${now}`);
          return advanceSplit(batch, line, progress, now);
        }
        case 'cancel':
          try {
            return cancelled(batch, now);
          } catch (error) {
            expect(error).toBeInstanceOf(ApiError);
            return undefined;
          }
        case 'fail':
          return hasEnded(batch) ? undefined : failed(batch, [FAULT], now);
        case 'outdate':
          return outdated(batch);
        case 'close':
          return endingOf(batch, { ...NONE, completed: taken.counted }, now + taken.after);
        case 'hold':
          return held(batch, taken.owner, IDS, now);
        case 'end':
          return batch.ending && finalised(batch, taken.owner, { tally: TALLY }, batch.ending, now);
      }
    }
  });

  it('notes a flight of lines once, whoever sends it twice', () => {
    const first = advanceSplit(BATCH, 0, flight(0, 200, 200, false), NOW)!;
    expect(first).toMatchObject({
      status: 'in_progress',
      inProgressAt: NOW,
      split: { line: 200, sent: 200 },
      faults: [],
    });
    expect(advanceSplit(first, 0, flight(0, 200, 200, false, 'another'), NOW)).toBeUndefined();
    expect(advanceSplit(first, 0, flight(0, 200, 200, false), NOW)).toBe(first);
    expect(advanceSplit(first, 200, flight(200, 1, 201, true), NOW)?.split).toMatchObject({ line: 201, done: true });
  });

  it('names the model of its requests, unless they name several', () => {
    const of = (batch: BatchRecord, models: readonly string[]) =>
      advanceSplit(batch, batch.split.line, { ...flight(batch.split.line, 1, 1, false, 'x'), models }, NOW)!;
    expect(of(BATCH, ['llama']).model).toBe('llama');
    expect(of(BATCH, ['llama', 'other']).model).toBeNull();
    const mixed = of({ ...of(BATCH, ['llama']), split: { ...BATCH.split, sent: 1 } }, ['other']);
    expect(mixed.model).toBeNull();
    expect(of({ ...mixed, split: { ...BATCH.split, sent: 2 } }, ['llama']).model).toBeNull();
  });

  it('is closed once its items are counted, all of them and not one before', () => {
    const batch = split(3);
    expect(closed(batch, { completed: 1, failed: 1, skipped: 0 })).toBeUndefined();
    const done = closed(batch, { completed: 1, failed: 1, skipped: 1 })!;
    expect(done).toMatchObject({ status: 'finalizing', ending: 'completed', finalizingAt: NOW });
    expect(closed(done)).toBeUndefined();
    const partly = advanceSplit(BATCH, 0, flight(0, 3, 3, false), NOW)!;
    expect(closed(partly)).toBeUndefined();
  });

  it('expires a quarter of an hour after its day, which items in progress have to end', () => {
    const batch = split(3);
    expect(closed(batch, NONE, NOW + WINDOW_SECONDS + 899)).toBeUndefined();
    expect(closed(batch, NONE, NOW + WINDOW_SECONDS + 900)).toMatchObject({ status: 'finalizing', ending: 'expired' });
  });

  it('waits ten minutes for items in progress when it is cancelled', () => {
    const batch = cancelled(split(3), NOW)!;
    expect(closed(batch, NONE, NOW + 599)).toBeUndefined();
    expect(closed(batch, NONE, NOW + 600)).toMatchObject({ status: 'cancelling', ending: 'cancelled' });
    expect(closed(batch, { ...NONE, skipped: 3 }, NOW)).toMatchObject({ ending: 'cancelled' });
    expect(advanceSplit(cancelled(BATCH, NOW)!, 0, flight(0, 1, 1, false), NOW)).toBeUndefined();
  });

  it('is put together by one at a time, and by the next where that one has died or let go', () => {
    const batch = closed(split(3))!;
    const first = held(batch, 'a', IDS, NOW)!;
    expect(held(first, 'b', IDS, NOW + 299)).toBeUndefined();
    const second = held(first, 'b', { outputFileId: 'x', errorFileId: 'y' }, NOW + 300)!;
    expect(second.final).toMatchObject({ ...IDS, owner: 'b', revision: 1 });
    expect(advanceFinal(second, 'a', { line: 3 })).toBeUndefined();
    expect(finalised(second, 'a', { tally: TALLY }, 'completed', NOW)).toBeUndefined();
    const free = advanceFinal(second, 'b', { until: LET_GO })!;
    expect(held(free, 'c', IDS, NOW + 1)?.final?.owner).toBe('c');
    expect(held(split(3), 'a', IDS, NOW)).toBeUndefined();
  });

  it('is put together again after a redrive, and keeps its end', () => {
    const ended = finalised(held(closed(split(3))!, 'a', IDS, NOW)!, 'a', { tally: TALLY }, 'completed', NOW)!;
    expect(held(ended, 'b', IDS, NOW + 9)).toBeUndefined();
    const again = held(outdated(ended)!, 'b', { outputFileId: 'n', errorFileId: 'm' }, NOW + 9)!;
    expect(again).toMatchObject({
      status: 'completed',
      stale: false,
      final: { revision: 2, outputFileId: 'n', line: 0 },
    });
    // It died; nobody else replaced an error since.
    expect(held(again, 'c', IDS, NOW + 309 + 9)?.final).toMatchObject({ revision: 2, owner: 'c', outputFileId: 'n' });
    const better = { tally: { ...TALLY, completed: 3 } };
    expect(finalised(again, 'b', better, 'completed', NOW + 20)).toMatchObject({ endedAt: NOW, result: better });
    expect(outdated(split(3))).toBeUndefined();
    expect(outdated(failed(BATCH, [FAULT], NOW))).toBeUndefined();
  });
});

describe('what a batch says to a claim of its items', () => {
  const day = NOW + WINDOW_SECONDS;
  const completed = { ...split(1), status: 'completed', ending: 'completed' } as const;
  const cases: [string, BatchRecord | undefined, boolean, number, unknown][] = [
    ['no such batch', undefined, false, NOW, { kind: 'unknown' }],
    ['one that is being split', BATCH, false, NOW, undefined],
    ['one in progress', split(1), false, day - 1, undefined],
    ['one whose day is over', split(1), false, day, { kind: 'over', reason: 'expired' }],
    ['a cancelled one', cancelled(split(1), NOW), false, NOW, { kind: 'over', reason: 'cancelled' }],
    ['one that has ended', completed, false, NOW, { kind: 'done' }],
    ['one that has ended, for an item that is sent again', completed, true, day * 2, undefined],
    ['one that has failed, for an item that is sent again', failed(BATCH, [], NOW), true, NOW, { kind: 'done' }],
    ['one whose results are being put together', closed(split(1)), false, NOW, { kind: 'done' }],
  ];
  it.each(cases)('%s', (_, batch, redriven, now, claim) => {
    expect(claimable(batch, redriven, now)).toEqual(claim);
  });
});

describe('what the sweeper does about a batch', () => {
  const counted =
    (counts = NONE) =>
    () =>
      Promise.resolve(counts);
  const finalising = held(closed(split(3))!, 'a', IDS, NOW)!;
  const ended = finalised(finalising, 'a', { tally: TALLY }, 'completed', NOW)!;
  const partly = advanceSplit(BATCH, 0, flight(0, 3, 3, false), NOW)!;
  const cases: [string, BatchRecord, number, string][] = [
    ['whose split goes on', partly, NOW + 180, 'none'],
    ['whose splitter has died', partly, NOW + 181, 'split'],
    ['whose first message got lost', BATCH, NOW + 181, 'split'],
    ['whose items are in progress', split(3), NOW + 9999, 'none'],
    ['whose day is over', split(3), NOW + WINDOW_SECONDS + 900, 'close'],
    ['that was cancelled and whose workers are silent', cancelled(split(3), NOW)!, NOW + 600, 'close'],
    ['whose finaliser was never called', closed(split(3))!, NOW, 'finalise'],
    ['whose finaliser is at work', finalising, NOW + 299, 'none'],
    ['whose finaliser has died', finalising, NOW + 301, 'finalise'],
    ['that has ended', ended, NOW, 'tell'],
    ['that has ended, and got better results', outdated(ended)!, NOW, 'finalise'],
    ['that failed', failed(BATCH, [FAULT], NOW), NOW, 'tell'],
  ];
  it.each(cases)('%s', async (_, batch, now, repair) => {
    expect(await repairOf(batch, counted(), now)).toBe(repair);
  });

  it('closes one whose last worker died before it could', async () => {
    expect(await repairOf(split(3), counted({ ...NONE, completed: 3 }), NOW)).toBe('close');
  });
});
