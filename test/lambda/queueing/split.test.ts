import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hasEnded } from '../../../lambda/queueing/batch-record';
import { FLIGHT_LINES, split, type SplitPorts } from '../../../lambda/queueing/split';
import { batchOf, lineOf, NOW, RULES } from './fixture';
import { Crash, Memory } from './memory-books';

function surroundings(text: string) {
  const memory = new Memory();
  const object = Buffer.from(text);
  const batch = batchOf(object);
  memory.objects.set(batch.input.key, object);
  memory.batchRows.set(batch.id, batch);
  let owners = 0;
  const ports = (change: Partial<SplitPorts> = {}): SplitPorts => ({
    ...memory,
    owner: `owner-${owners++}`,
    now: () => NOW,
    remainingMs: () => 900_000,
    ...change,
  });
  const record = () => memory.batchRows.get(batch.id)!;
  return { memory, ports, record, run: (change?: Partial<SplitPorts>) => split(record(), RULES, ports(change)) };
}

/** What a line of a file may be, and whether it is an item. */
const kinds = fc.constantFrom<Kind[]>('good', 'good', 'good', 'broken', 'twice', 'blank', 'long');
type Kind = 'good' | 'broken' | 'twice' | 'blank' | 'long';

function textOf(lines: readonly Kind[]): string {
  const written = lines.map((kind, i) => {
    switch (kind) {
      case 'good':
        return lineOf(`id-${i}`);
      case 'broken':
        return `{"custom_id": "id-${i}"`;
      case 'twice':
        return lineOf('the same');
      case 'blank':
        return ' ';
      case 'long':
        return lineOf('x'.repeat(400));
    }
  });
  return written.join('\n');
}

/** Lines from 1 that are to be sent, and those that are to be refused. */
function expectedOf(lines: readonly Kind[]) {
  const firstTwice = lines.indexOf('twice');
  const isGood = (kind: Kind, i: number) => kind === 'good' || (kind === 'twice' && i === firstTwice);
  const numbers = lines.map((kind, i) => ({ kind, number: i + 1, good: isGood(kind, i) }));
  return {
    good: numbers.filter(({ good }) => good).map(({ number }) => number),
    bad: numbers.filter(({ good, kind }) => !good && kind !== 'blank').map(({ number }) => number),
  };
}

describe('a split', () => {
  it('sends each good line once and refuses each bad one, with where it stands', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(kinds, { maxLength: 40 }), fc.integer({ min: 1, max: 99 }), async (lines, chunk) => {
        const text = textOf(lines);
        const { memory, run, record } = surroundings(text);
        memory.chunkBytes = chunk;
        const { good, bad } = expectedOf(lines);
        expect(await run()).toBe(good.length > 0 ? 'done' : 'failed');
        expect(memory.sent.map(({ line }) => line)).toEqual(good);
        for (const { line, offset, length } of memory.sent) {
          expect(text.slice(offset, offset + length)).toBe(text.split('\n')[line - 1]);
        }
        const refused = bad.map((line) => memory.resultOf({ batchId: record().id, line })?.error?.line);
        expect(refused).toEqual(bad);
        expect(record().split).toMatchObject({ sent: good.length, rejected: bad.length, done: true });
        expect(record().status).toBe(good.length > 0 ? 'in_progress' : 'failed');
      }),
      { numRuns: 60 },
    );
  });

  it('loses no line and counts none twice, wherever its function dies, and however often', async () => {
    const many = fc
      .tuple(fc.array(kinds, { minLength: 15, maxLength: 30, size: 'max' }), fc.integer({ min: 10, max: 30 }))
      .map(([pattern, times]) => Array.from({ length: times }, () => pattern).flat());
    const deaths = fc.array(fc.nat(400), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(many, deaths, async (lines, crashes) => {
        const { memory, run, record } = surroundings(textOf(lines));
        for (const after of crashes) {
          let calls = 0;
          memory.mayCrash = () => {
            if (calls++ === after) throw new Crash();
          };
          try {
            await run();
          } catch (error) {
            expect(error).toBeInstanceOf(Crash);
          }
        }
        memory.mayCrash = () => undefined;
        if (!hasEnded(record()) && !record().split.done) await run();
        const { good, bad } = expectedOf(lines);
        expect([...new Set(memory.sent.map(({ line }) => line))].sort((a, b) => a - b)).toEqual(good);
        expect(record().split).toMatchObject({ sent: good.length, rejected: bad.length, done: true });
        for (const line of bad) expect(memory.resultOf({ batchId: record().id, line })?.error?.line).toBe(line);
        // What a death leaves in doubt is one flight, and the one that was in the air before it.
        const again = memory.sent.length - good.length;
        expect(again).toBeLessThanOrEqual(crashes.length * 2 * FLIGHT_LINES);
      }),
      { numRuns: 40 },
    );
  });

  it('leaves the rest to another invocation when its time is short, and nothing of it is sent twice', async () => {
    const lines = Array.from({ length: FLIGHT_LINES * 3 + 5 }, (_, i) => lineOf(i));
    const { memory, run, record } = surroundings(lines.join('\n'));
    let flights = 0;
    expect(await run({ remainingMs: () => (flights++ === 0 ? 900_000 : 59_000) })).toBe('continued');
    expect(record().split).toMatchObject({ line: FLIGHT_LINES, done: false });
    expect(memory.controls).toMatchObject([{ kind: 'split', batchId: record().id }]);
    expect(await run()).toBe('done');
    expect(memory.sent.map(({ line }) => line)).toEqual(lines.map((_, i) => i + 1));
  });

  it('finds a custom id again that was sent before another splitter went on', async () => {
    const lines = [...Array.from({ length: FLIGHT_LINES + 3 }, (_, i) => lineOf(i)), lineOf(0)];
    const { run, record, memory } = surroundings(lines.join('\n'));
    let flights = 0;
    await run({ remainingMs: () => (flights++ === 0 ? 900_000 : 0) });
    await run();
    const last = { batchId: record().id, line: lines.length };
    expect(memory.resultOf(last)).toMatchObject({ custom_id: '0', error: { code: 'duplicate_custom_id' } });
  });

  it('stops where the batch was cancelled meanwhile', async () => {
    const lines = Array.from({ length: FLIGHT_LINES * 4 }, (_, i) => lineOf(i));
    const { memory, run, record } = surroundings(lines.join('\n'));
    const end = await run({
      items: {
        send: async (messages) => {
          memory.batchRows.set(record().id, { ...record(), status: 'cancelling', cancellingAt: NOW });
          await memory.items.send(messages);
        },
      },
    });
    expect(end).toBe('over');
    expect(memory.sent.length).toBeLessThanOrEqual(FLIGHT_LINES);
  });

  it('fails where the file was replaced or is gone', async () => {
    for (const [object, code] of [
      [Buffer.from(lineOf('another')), 'input_file_changed'],
      [undefined, 'input_file_missing'],
    ] as const) {
      const { memory, run, record } = surroundings(lineOf('one'));
      if (object) memory.objects.set(record().input.key, object);
      else memory.objects.delete(record().input.key);
      expect(await run()).toBe('failed');
      expect(record()).toMatchObject({ status: 'failed', faults: [{ code, param: 'input_file_id' }] });
    }
  });

  it('fails a batch of too many lines before the first is sent', async () => {
    const lines = Array.from({ length: RULES.maxRequests + 1 }, (_, i) => lineOf(i));
    const { memory, run, record } = surroundings(lines.join('\n'));
    memory.chunkBytes = 65_536;
    expect(await run()).toBe('failed');
    expect([record().faults[0]?.code, memory.sent.length]).toEqual(['request_limit_exceeded', 0]);
  });

  it('lists what is wrong with the first fifty lines of a batch in which nothing is good', async () => {
    const { run, record } = surroundings(Array.from({ length: 500 }, () => 'x').join('\n'));
    expect(await run()).toBe('failed');
    expect(record().faults.map(({ line }) => line)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  });
});
