import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { idFloor, isId, newId, workKind } from '../../../lambda/queueing/ids';
import { SeenIds } from '../../../lambda/queueing/seen-ids';

const time = fc.integer({ min: 0, max: 2 ** 47 });

describe('ids', () => {
  it('sort by the time that they were made at', () => {
    fc.assert(
      fc.property(time, fc.integer({ min: 1, max: 1e9 }), (at, later) => {
        expect(newId('batch', at, randomBytes) < newId('batch', at + later, randomBytes)).toBe(true);
        expect(idFloor('batch', at) <= newId('batch', at, randomBytes)).toBe(true);
        expect(newId('batch', at, randomBytes) < idFloor('batch', at + later)).toBe(true);
      }),
    );
  });

  it('say what they name, and no other text does', () => {
    const id = newId('file', Date.now(), randomBytes);
    expect(id).toMatch(/^file-[0-9a-z]{26}$/);
    expect([isId('file', id), isId('batch', id), isId('file', `${id}0`), isId('file', 'file-../../x')]).toEqual([
      ...[true, false, false, false],
    ]);
    expect(['job_x', 'batch_x'].map(workKind)).toEqual(['job', 'batch']);
  });
});

describe('the custom ids that a batch has seen', () => {
  it('are known again, and no others', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 200 }), (ids) => {
        const seen = new SeenIds(ids.length);
        const known = new Set<string>();
        for (const id of ids) {
          expect(seen.add(id)).toBe(!known.has(id));
          known.add(id);
        }
      }),
    );
  });

  it('fit a table of the most lines that a batch may have', () => {
    const seen = new SeenIds(1_000_000);
    for (let i = 0; i < 1_000_000; i++)
      if (!seen.add(`request-${i}`)) throw new Error(`request-${i} was taken for another`);
    expect([seen.add('request-0'), seen.add('request-999999'), seen.add('request-1000000')]).toEqual([
      false,
      false,
      true,
    ]);
  });
});
