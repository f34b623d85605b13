import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { advanceSplit, outdated } from '../../../lambda/queueing/batch-life';
import type { BatchRecord } from '../../../lambda/queueing/batch-record';
import { resultKey } from '../../../lambda/queueing/books';
import { finalise, type FinalisePorts } from '../../../lambda/queueing/finalise';
import type { ResultLine } from '../../../lambda/queueing/item';
import { answeredLine, faultLine } from '../../../lambda/queueing/result-line';
import { batchOf, lineOf, NOW } from './fixture';
import { Crash, Memory } from './memory-books';

type Result = 'answered' | 'refused' | 'fault' | 'none';

/** A batch whose wait for results is over, with so many lines and their results. */
function surroundings(
  results: readonly Result[],
  ending: NonNullable<BatchRecord['ending']> = 'completed',
  id?: string,
) {
  const memory = new Memory();
  const object = Buffer.from(results.map((_, i) => `${lineOf(i + 1)}\n`).join(''));
  const batch = batchOf(object, id);
  const done = { line: results.length, offset: object.length, sent: results.length, rejected: 0, done: true };
  const split = advanceSplit(batch, 0, { ...done, models: ['llama'], faults: [] }, NOW)!;
  const status = ending === 'cancelled' ? 'cancelling' : 'finalizing';
  memory.batchRows.set(batch.id, { ...split, status, ending });
  memory.objects.set(batch.input.key, object);
  results.forEach((kind, i) => {
    if (kind !== 'none') put(i + 1, kind);
  });
  function put(line: number, kind: Exclude<Result, 'none'>) {
    const item = { batchId: batch.id, line };
    const response = { request_id: 'r', body: { usage: { prompt_tokens: 10, completion_tokens: 1 } } };
    const result =
      kind === 'fault'
        ? faultLine(item, String(line), { code: 'worker_crashed', message: 'x' })
        : answeredLine(item, String(line), { ...response, status_code: kind === 'answered' ? 200 : 400 });
    memory.objects.set(resultKey(item), Buffer.from(JSON.stringify(result)));
  }
  let [owners, files, now] = [0, 0, NOW];
  const ports = (change: Partial<FinalisePorts> = {}): FinalisePorts => ({
    ...memory,
    owner: `owner-${owners++}`,
    newFileId: () => `file-${files++}`,
    now: () => now,
    remainingMs: () => 900_000,
    ...change,
  });
  const rules = { maxLineBytes: 300, retentionDays: 30, partLines: 7 };
  const record = () => memory.batchRows.get(batch.id)!;
  const fileOf = (fileId: string | undefined) => {
    const text = fileId === undefined ? '' : memory.objects.get(`files/acme/${fileId}`)!.toString();
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as ResultLine);
  };
  return {
    ...{ memory, record, put, ports },
    /** Another invocation, after the hold of one that died. */
    run: (change?: Partial<FinalisePorts>) => finalise(record(), rules, ports(change)),
    wait: (seconds: number) => void (now += seconds),
    output: () => fileOf(record().result?.outputFileId),
    errors: () => fileOf(record().result?.errorFileId),
  };
}

const idsOf = (lines: readonly ResultLine[]) => lines.map(({ custom_id: id }) => id);
const kinds = fc.constantFrom<Result>('answered', 'answered', 'refused', 'fault', 'none');

describe('putting results together', () => {
  it('gives each line exactly one result or one error, in the order of the lines, wherever the function dies', async () => {
    const batch = fc.array(kinds, { minLength: 1, maxLength: 60 });
    const ending = fc.constantFrom('completed' as const, 'cancelled' as const, 'expired' as const);
    await fc.assert(
      fc.asyncProperty(batch, ending, fc.array(fc.nat(90), { maxLength: 6 }), async (results, end, crashes) => {
        const at = surroundings(results, end);
        for (const after of crashes) {
          let calls = 0;
          at.memory.mayCrash = () => {
            if (calls++ >= after) throw new Crash();
          };
          await at.run().catch((error: unknown) => {
            expect(error).toBeInstanceOf(Crash);
          });
          at.wait(301);
        }
        at.memory.mayCrash = () => undefined;
        await at.run();
        const ids = (wanted: (kind: Result) => boolean) =>
          results.flatMap((kind, i) => (wanted(kind) ? [String(i + 1)] : []));
        expect(idsOf(at.output())).toEqual(ids((kind) => kind === 'answered'));
        expect(idsOf(at.errors())).toEqual(ids((kind) => kind !== 'answered'));
        const absent = results.filter((kind) => kind === 'none').length;
        const completed = at.output().length;
        const skipped = end === 'cancelled' ? absent : 0;
        expect(at.record()).toMatchObject({
          ...{ status: end, endedAt: expect.any(Number) },
          result: {
            tally: {
              completed,
              failed: results.length - completed - skipped,
              skipped,
              tokens: { input: completed * 10 },
            },
          },
        });
        // After a death between the end and the clearing away, the bucket's lifecycle clears away.
        const left = [...at.memory.objects.keys()].filter((key) => key.includes('/parts/'));
        if (crashes.length === 0) expect(left).toEqual([]);
      }),
      { numRuns: 80 },
    );
  });

  it('makes no file without a line', async () => {
    const at = surroundings(['answered', 'answered']);
    await at.run();
    expect(at.record().result).toEqual({
      outputFileId: 'file-0',
      tally: { completed: 2, failed: 0, skipped: 0, tokens: { input: 20, output: 2, cached: 0, reasoning: 0 } },
    });
    expect([...at.memory.fileRows.values()]).toMatchObject([
      { id: 'file-0', purpose: 'batch_output', bytes: at.memory.objects.get('files/acme/file-0')!.length },
    ]);
  });

  it('says why a line has no result', async () => {
    for (const [ending, code] of [
      ['expired', 'batch_expired'],
      ['cancelled', 'batch_cancelled'],
      ['completed', 'result_missing'],
    ] as const) {
      const at = surroundings(['none'], ending);
      await at.run();
      expect(at.errors()).toMatchObject([{ custom_id: '1', response: null, error: { code, line: 1 } }]);
    }
  });

  it('leaves the rest to another invocation when its time is short, and keeps what it has', async () => {
    const at = surroundings(Array.from({ length: 20 }, () => 'answered' as const));
    expect(await at.run({ remainingMs: () => 299_000 })).toBeUndefined();
    expect(at.record().final).toMatchObject({ line: 7, walked: false, parts: [{ errors: 0 }] });
    expect(at.memory.controls).toMatchObject([{ kind: 'finalise' }]);
    expect((await at.run())?.status).toBe('completed');
    expect(at.output()).toHaveLength(20);
  });

  it('is done by one function at a time', async () => {
    const at = surroundings(['answered']);
    const first = at.ports();
    let second: BatchRecord | undefined = at.record();
    const shelves = {
      ...at.memory.shelves,
      upload: async (...args: Parameters<typeof at.memory.shelves.upload>) => {
        second = await at.run();
        return at.memory.shelves.upload(...args);
      },
    };
    const ended = await finalise(at.record(), { maxLineBytes: 300, retentionDays: 30 }, { ...first, shelves });
    expect([second, ended?.status]).toEqual([undefined, 'completed']);
  });

  it('gives way where another has taken over', async () => {
    const at = surroundings(Array.from({ length: 20 }, () => 'answered' as const));
    let taken = false;
    const shelves = {
      ...at.memory.shelves,
      result: async (...args: Parameters<typeof at.memory.shelves.result>) => {
        if (!taken) {
          taken = true;
          at.wait(400);
          await at.run();
        }
        return at.memory.shelves.result(...args);
      },
    };
    expect(await at.run({ shelves })).toBeUndefined();
    expect(at.record().status).toBe('completed');
    expect(at.output()).toHaveLength(20);
  });

  it.each([
    ['as long as the client asked for', 86_400, 86_400],
    ['no longer than the policy keeps them by now', 60 * 86_400, 30 * 86_400],
    ['as long as the policy says, where the client has not', undefined, 30 * 86_400],
  ])('keeps results %s', async (_, outputSeconds, kept) => {
    const at = surroundings(['answered']);
    const asked = { ...at.record(), ...(outputSeconds !== undefined && { outputSeconds }) };
    at.memory.batchRows.set(asked.id, asked);
    await at.run();
    const file = at.memory.fileRows.get(at.record().result!.outputFileId!)!;
    expect(file.expiresAt - file.createdAt).toBe(kept);
  });

  it('puts better results in the place of errors after a redrive', async () => {
    const at = surroundings(['answered', 'fault']);
    await at.run();
    expect([at.output().length, at.errors().length]).toEqual([1, 1]);
    at.put(2, 'answered');
    at.memory.batchRows.set(at.record().id, outdated(at.record())!);
    await at.run();
    expect(idsOf(at.output())).toEqual(['1', '2']);
    expect(at.record()).toMatchObject({
      status: 'completed',
      stale: false,
      result: { tally: { completed: 2, failed: 0 } },
    });
    expect(at.record().result?.errorFileId).toBeUndefined();
  });

  it('fails a batch whose file was replaced, for nobody can say which requests it had', async () => {
    const at = surroundings(['answered']);
    at.memory.objects.set(at.record().input.key, Buffer.from('another'));
    expect(await at.run()).toBeUndefined();
    expect(at.record()).toMatchObject({ status: 'failed', faults: [{ code: 'input_file_changed' }] });
  });

  it('keeps the results that stand where the file is gone at a redrive', async () => {
    const at = surroundings(['answered', 'fault']);
    await at.run();
    const { result } = at.record();
    at.memory.objects.delete(at.record().input.key);
    at.memory.batchRows.set(at.record().id, outdated(at.record())!);
    await at.run();
    expect(at.record()).toMatchObject({ status: 'completed', result });
    at.wait(9999);
    expect(await at.run()).toBeUndefined();
  });

  it('ends a job by its one result', async () => {
    const job = `job_${'0'.repeat(26)}`;
    const ends: [Result, NonNullable<BatchRecord['ending']>, string][] = [
      ['answered', 'completed', 'completed'],
      ['refused', 'completed', 'failed'],
      ['none', 'completed', 'failed'],
      ['none', 'cancelled', 'cancelled'],
      ['none', 'expired', 'expired'],
      ['answered', 'cancelled', 'completed'],
    ];
    for (const [result, ending, status] of ends) {
      const at = surroundings([result], ending, job);
      expect((await at.run())?.status).toBe(status);
      expect(at.memory.fileRows.size).toBe(0);
    }
  });
});
