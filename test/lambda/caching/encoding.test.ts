import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { brotliCompressSync } from 'node:zlib';
import { decodeBody, encodeBody } from '../../../lambda/caching/encoding';

const LIMITS = { compressAboveBytes: 256, maxEntryBytes: 64 * 1024 };
const ANSWER = JSON.stringify({ choices: [{ message: { content: 'To be, or not to be: 是或不是. '.repeat(100) } }] });

describe('a stored body', () => {
  it('comes back as it was, whatever it is', () => {
    const body = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 2000 }),
      fc.constantFrom(ANSWER, '', '\u0001', '\u0001b5:AAAA', '\u0001pnot marked', '\u0001'.repeat(500)),
      fc.string({ unit: 'grapheme' }).map((text) => `\u0001${text.repeat(50)}`),
    );
    fc.assert(
      fc.property(body, fc.integer({ min: 1, max: 1000 }), (text, compressAboveBytes) => {
        const limits = { ...LIMITS, compressAboveBytes };
        expect(decodeBody(encodeBody(text, limits), limits)).toBe(text);
      }),
    );
  });

  it('is compressed from the size on that the policy names, in characters that every script can handle', () => {
    const stored = encodeBody(ANSWER, LIMITS);
    expect(stored.length).toBeLessThan(Buffer.byteLength(ANSWER) / 5);
    expect(stored).toMatch(/^\u0001b\d+:[A-Za-z0-9+/=]+$/);
    const bytes = Buffer.byteLength(ANSWER);
    expect(encodeBody(ANSWER, { compressAboveBytes: bytes })).toBe(stored);
    expect(encodeBody(ANSWER, { compressAboveBytes: bytes + 1 })).toBe(ANSWER);
  });

  it('stays as it is where that is smaller', () => {
    const noise = Array.from({ length: 300 }, (_, i) => String.fromCodePoint(0x4e00 + ((i * 7919) % 20_000))).join('');
    expect(encodeBody(noise, LIMITS)).toBe(noise);
  });

  it('is missing, and no error, where it is damaged, cut off or not what it claims', () => {
    const stored = encodeBody(ANSWER, LIMITS);
    const packed = brotliCompressSync('three').toString('base64');
    const damaged = [
      stored.slice(0, -20),
      stored.slice(0, 30),
      stored.replace(/:.{8}/, ':AAAAAAAA'),
      `\u0001b4:${packed}`,
      `\u0001b6:${packed}`,
      '\u0001b0:',
      '\u0001b5',
      '\u0001',
      '\u0001xyz',
    ];
    for (const text of damaged)
      expect([text.slice(0, 40), decodeBody(text, LIMITS)]).toEqual([text.slice(0, 40), undefined]);
    expect(decodeBody(`\u0001b5:${packed}`, LIMITS)).toBe('three');
  });

  it('never unpacks to more than an entry may have, nor to more than it claims', () => {
    const bomb = brotliCompressSync(Buffer.alloc(48 * 1024 * 1024)).toString('base64');
    for (const claim of [48 * 1024 * 1024, 64 * 1024, 1]) {
      const before = process.memoryUsage().arrayBuffers;
      expect(decodeBody(`\u0001b${claim}:${bomb}`, LIMITS)).toBeUndefined();
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    }
  });
});
