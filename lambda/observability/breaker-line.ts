import { isoTime, type StateChange } from '../circuit-breaking/state-change';
import type { MetricsNames } from './record-line';

/** The metric that counts how often a breaker came into a state. */
const METRIC = { open: 'BreakerOpened', closed: 'BreakerClosed', half_open: 'BreakerHalfOpen' } as const;

/**
 * One line of JSON for a breaker that changed: a structured log line and, through its `_aws` block, the metric of its new
 * state, by service and by service and backend. An order that left the state as it was counts nowhere.
 */
export function breakerLine(change: StateChange, { namespace, service }: MetricsNames): string {
  const { backend, from, to, at, reason, openUntil } = change;
  const changed = from !== to;
  return JSON.stringify({
    ...(changed && {
      _aws: {
        Timestamp: at,
        CloudWatchMetrics: [
          {
            Namespace: namespace,
            Dimensions: [['Service'], ['Service', 'Backend']],
            Metrics: [{ Name: METRIC[to], Unit: 'Count' }],
          },
        ],
      },
      [METRIC[to]]: 1,
    }),
    Service: service,
    Backend: backend,
    level: to === 'open' ? 'warn' : 'info',
    message: 'breaker',
    from,
    to,
    reason,
    open_until: openUntil === undefined ? undefined : isoTime(openUntil),
  });
}
