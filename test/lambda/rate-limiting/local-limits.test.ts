import { describe, expect, it } from '@jest/globals';
import { resolvePlan } from '../../../lib/policy/defaults';
import { LocalLimits } from '../../../lambda/rate-limiting/local-limits';

const NOW = 1_760_000_000_000;
const plan = resolvePlan({ name: 'p', requestsPerMinute: 320, tokensPerMinute: 64_000, parallelRequests: 32 });

const cost = (inputTokens: number) => ({ plan, model: { name: 'llama' }, inputTokens, outputTokens: 0 });

describe('the limits of one function instance', () => {
  it('grant its share of the plan, so that all instances together grant the plan', () => {
    const limits = new LocalLimits();
    const admitted = Array.from({ length: 20 }, () => limits.admit('acme', cost(1), NOW)).filter((v) => v.admitted);
    expect(admitted).toHaveLength(10);
    expect(limits.admit('other', cost(1), NOW).admitted).toBe(true);
  });

  it('admit one request of the largest size even where the share is smaller, then recover at the rate of the share', () => {
    const limits = new LocalLimits();
    expect(limits.admit('acme', cost(8192), NOW).admitted).toBe(true);
    const refused = limits.admit('acme', cost(8192), NOW);
    expect(refused.refusedBy?.limit).toBe('tokens');
    expect(refused.retryAfterMs).toBeCloseTo((8192 / 2000) * 60_000, 0);
    limits.settle('acme', cost(8192), cost(0), NOW);
    expect(limits.admit('acme', cost(8192), NOW).admitted).toBe(true);
  });

  it('hold a model to the limits that the plan sets for it, and money to its share of a day', () => {
    const limits = new LocalLimits();
    const rich = resolvePlan({
      name: 'rich',
      requestsPerMinute: 320,
      tokensPerMinute: 64_000,
      parallelRequests: 1,
      moneyPerMonth: 30,
      modelLimits: [{ model: 'large', requestsPerMinute: 2 }],
    });
    const model = { name: 'large', price: { inputPerMillionTokens: 1000, outputPerMillionTokens: 0 } };
    const ask = (inputTokens: number) =>
      limits.admit('acme', { plan: rich, model, inputTokens, outputTokens: 0 }, NOW).refusedBy;
    expect([ask(1), ask(1)]).toEqual([undefined, undefined]);
    expect(ask(1)).toMatchObject({ limit: 'requests', model: 'large' });
    const small = { plan: rich, model: { ...model, name: 'small' }, inputTokens: 999, outputTokens: 0 };
    expect(limits.admit('acme', small, NOW).refusedBy).toMatchObject({ limit: 'money' });
  });
});
