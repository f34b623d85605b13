import { describe, expect, it } from '@jest/globals';
import { resolvePlan } from '../../../lib/policy/defaults';
import { LocalLimits } from '../../../lambda/rate-limiting/local-limits';

const NOW = 1_760_000_000_000;
const plan = resolvePlan({ name: 'p', requestsPerMinute: 320, tokensPerMinute: 64_000, parallelRequests: 32 });

describe('the limits of one function instance', () => {
  it('grant its share of the plan, so that all instances together grant the plan', () => {
    const limits = new LocalLimits();
    const admitted = Array.from({ length: 20 }, () => limits.admit('acme', plan, 1, NOW)).filter((v) => v.admitted);
    expect(admitted).toHaveLength(10);
    expect(limits.admit('other', plan, 1, NOW).admitted).toBe(true);
  });

  it('admit one request of the largest size even where the share is smaller, then recover at the rate of the share', () => {
    const limits = new LocalLimits();
    expect(limits.admit('acme', plan, 8192, NOW).admitted).toBe(true);
    const refused = limits.admit('acme', plan, 8192, NOW);
    expect(refused.refusedBy).toBe('tokens');
    expect(refused.retryAfterMs).toBeCloseTo((8192 / 2000) * 60_000, 0);
    limits.settle('acme', plan, -8192, NOW);
    expect(limits.admit('acme', plan, 8192, NOW).admitted).toBe(true);
  });
});
