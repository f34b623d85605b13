import { describe, expect, it } from '@jest/globals';
import { duration, rateLimitHeaders } from '../../../lambda/rate-limiting/headers';

describe('the rate-limit headers', () => {
  it('write a time span as OpenAI does', () => {
    expect([0, 249.2, 1500, 360_000, 3_661_000].map(duration)).toEqual(['0ms', '250ms', '1.5s', '6m0s', '1h1m1s']);
  });

  it('tell size, rest and reset of requests and tokens', () => {
    const limit = (name: 'requests' | 'tokensPerDay', arrival: number) => ({
      charge: { limit: name, cost: 1, emissionMs: 100, burstMs: 60_000 },
      arrival,
    });
    expect(rateLimitHeaders([limit('requests', 1100), limit('tokensPerDay', 1100)], 1000)).toEqual({
      'x-ratelimit-limit-requests': '600',
      'x-ratelimit-remaining-requests': '599',
      'x-ratelimit-reset-requests': '100ms',
    });
  });
});
