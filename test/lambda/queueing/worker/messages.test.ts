import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ItemMessage } from '../../../../lambda/queueing/item';
import { deferred, givenBack } from '../../../../lambda/queueing/worker/deferral';
import { itemMessageIn } from '../../../../lambda/queueing/worker/item-message';
import { lineIn, spansOf } from '../../../../lambda/queueing/worker/line-spans';

const ITEM: ItemMessage = {
  ...{ v: 1, tenant: 'acme', plan: 'standard', batchId: 'batch_1', line: 1, input: 'files/acme/file-1' },
  ...{ offset: 0, length: 10 },
};

describe('the message of an item', () => {
  it('is what was sent, and nothing else is taken for one', () => {
    const full = { ...ITEM, deferrals: 3, failures: 1, redriven: true as const };
    expect(itemMessageIn(JSON.stringify(full))).toEqual(full);
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(ITEM)), fc.jsonValue(), (field, value) => {
        const changed = { ...ITEM, [field]: value };
        const read = itemMessageIn(JSON.stringify(changed));
        if (read) expect(typeof read[field as keyof ItemMessage]).toBe(typeof ITEM[field as keyof ItemMessage]);
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(itemMessageIn(text)).toBeUndefined();
      }),
    );
  });
});

describe('an item that is put off', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it('never comes back before it was told, nor is delayed for longer than the queue can, nor forgets its number', () => {
    fc.assert(
      fc.property(
        fc.record({ deferrals: fc.nat(5000), failures: fc.nat(19) }),
        fc.option(fc.double({ min: 0, max: 1e7, noNaN: true }), { nil: undefined }),
        fc.boolean(),
        random,
        (counts, retryAfterMs, failed, dice) => {
          const why = { failed, ...(retryAfterMs !== undefined && { retryAfterMs }) };
          const { message, delaySeconds } = deferred({ ...ITEM, ...counts }, why, dice);
          expect(Number.isInteger(delaySeconds)).toBe(true);
          expect(delaySeconds).toBeGreaterThanOrEqual(Math.min(900, (retryAfterMs ?? 0) / 1000));
          expect(delaySeconds).toBeGreaterThanOrEqual(Math.min(150, 2 ** counts.deferrals));
          expect(delaySeconds).toBeLessThanOrEqual(900);
          if (retryAfterMs === undefined) expect(delaySeconds).toBeLessThanOrEqual(300);
          expect(message.deferrals).toBe(counts.deferrals + 1);
          expect(message.failures ?? 0).toBe(counts.failures + (failed ? 1 : 0));
          expect(itemMessageIn(JSON.stringify(message))).toEqual(message);
        },
      ),
    );
  });

  it('comes back as it was where its worker had no time for it', () => {
    expect(givenBack(ITEM, -5)).toEqual({ message: ITEM, delaySeconds: 0 });
    expect(givenBack(ITEM, 1e9)).toEqual({ message: ITEM, delaySeconds: 900 });
  });
});

describe('the lines of items', () => {
  it('are read in few parts, each of them whole, whatever stands between', () => {
    const line = fc.record({
      length: fc.integer({ min: 1, max: 3_000_000 }),
      gap: fc.integer({ min: 1, max: 200_000 }),
    });
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 10 }), fc.integer({ min: 1, max: 2 }), (lines, files) => {
        let offset = 0;
        const items = lines.map(({ length, gap }, i): ItemMessage => {
          const item = { ...ITEM, line: i + 1, input: `f${i % files}`, offset, length };
          offset += length + gap;
          return item;
        });
        const spans = spansOf([...items].reverse());
        expect(
          spans
            .flatMap((span) => span.items)
            .map((item) => item.line)
            .sort((a, b) => a - b),
        ).toEqual(items.map((item) => item.line));
        for (const span of spans) {
          expect(span.length <= 8 * 1024 * 1024 || span.items.length === 1).toBe(true);
          for (const item of span.items) {
            expect(item.input).toBe(span.input);
            expect(item.offset).toBeGreaterThanOrEqual(span.offset);
            expect(item.offset + item.length).toBeLessThanOrEqual(span.offset + span.length);
          }
        }
      }),
      { numRuns: 200 },
    );
    const next = { ...ITEM, line: 2, offset: 11 };
    expect(spansOf([next, ITEM])).toMatchObject([{ offset: 0, length: 21, items: [{ line: 1 }, { line: 2 }] }]);
    expect(Buffer.from(lineIn({ offset: 0 }, Buffer.from('0123456789\nabcdefghij'), next)).toString()).toBe(
      'abcdefghij',
    );
    expect(spansOf([ITEM, { ...next, offset: 100_000 }])).toHaveLength(2);
  });
});
