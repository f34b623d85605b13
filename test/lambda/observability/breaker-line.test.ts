import { describe, expect, it } from '@jest/globals';
import type { StateChange } from '../../../lambda/circuit-breaking/state-change';
import { breakerLine } from '../../../lambda/observability/breaker-line';

const CHANGE: StateChange = { backend: 'gpu', from: 'closed', to: 'open', at: 1000, reason: 'calls' };
const line = (changes: Partial<StateChange>) =>
  JSON.parse(breakerLine({ ...CHANGE, ...changes }, { namespace: 'Platform', service: 'inference' })) as Record<
    string,
    unknown
  >;

describe('the line of a breaker that changed', () => {
  it.each([
    ['open', 'BreakerOpened', 'warn'],
    ['closed', 'BreakerClosed', 'info'],
    ['half_open', 'BreakerHalfOpen', 'info'],
  ] as const)('counts that it is %s now, by service and by backend', (to, metric, level) => {
    expect(line({ from: to === 'open' ? 'closed' : 'open', to })).toMatchObject({
      _aws: {
        Timestamp: 1000,
        CloudWatchMetrics: [
          {
            Namespace: 'Platform',
            Dimensions: [['Service'], ['Service', 'Backend']],
            Metrics: [{ Name: metric, Unit: 'Count' }],
          },
        ],
      },
      ...{ Service: 'inference', Backend: 'gpu', [metric]: 1, level, to, reason: 'calls' },
    });
  });

  it('says until when it is open', () => {
    expect(line({ openUntil: 31_000 })).toMatchObject({ open_until: '1970-01-01T00:00:31.000Z' });
    expect(line({})).not.toHaveProperty('open_until');
  });

  it('counts no order that left the state as it was', () => {
    const order = line({ from: 'open', reason: 'operator' });
    expect(order).toMatchObject({ reason: 'operator', from: 'open', to: 'open' });
    expect(order).not.toHaveProperty('_aws');
    expect(order).not.toHaveProperty('BreakerOpened');
  });
});
