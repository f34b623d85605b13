import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TokenBucket } from '../../bin/start/api-gateway/token-bucket';

describe('TokenBucket', () => {
  it('never lets more through than the burst and what has been refilled since', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 100, noNaN: true }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 200 }),
        (rate, burst, pauses) => {
          const bucket = new TokenBucket(rate, burst, 0);
          let now = 0;
          let taken = 0;
          for (const pause of pauses) {
            now += pause;
            if (bucket.take(now)) taken += 1;
            expect(taken).toBeLessThanOrEqual(burst + (now / 1000) * rate + 1e-6);
          }
        },
      ),
    );
  });

  it('lets a client on that keeps to the rate', () => {
    const bucket = new TokenBucket(2, 1, 0);
    for (let now = 0; now < 10_000; now += 500) expect(bucket.take(now)).toBe(true);
  });

  it('does not mind a clock that steps back', () => {
    const bucket = new TokenBucket(1, 2, 10_000);
    expect([bucket.take(10_000), bucket.take(5000), bucket.take(5000)]).toEqual([true, true, false]);
  });
});
