import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { BatchJobs } from '../queueing/batch-jobs';
import type { AlarmRule } from './alarm-rule';

/** Items a minute below which a share of failures says nothing. */
const FEWEST_ITEMS = 20;

/**
 * What is watched of background work, by the ids of the alarms.
 *
 * @param jobAge age of the oldest message, in either queue
 * @param failureRate per cent of the items
 */
export function batchAlarmRules(batch: BatchJobs, jobAge: Duration, failureRate: number): Record<string, AlarmRule> {
  const minute = { period: Duration.minutes(1) };
  const items = {
    completed: batch.metricItemsCompleted(minute),
    failed: batch.metricItemsFailed(minute),
    deferred: batch.metricItemsDeferred(minute),
  };
  return {
    BatchWorkAge: {
      metric: batch.work.metricOldestMessageAge(minute),
      threshold: jobAge.toSeconds(),
      description: `An item has waited longer than ${jobAge.toMinutes()} minutes for a worker`,
    },
    BatchControlAge: {
      metric: batch.control.metricOldestMessageAge(minute),
      threshold: jobAge.toSeconds(),
      description: `A batch has waited longer than ${jobAge.toMinutes()} minutes to be split, put together or told of`,
    },
    BatchWorkDeadLetters: {
      metric: batch.work.metricDeadLetters(minute),
      threshold: 0,
      description: 'Items failed for good and lie in the dead letters, each with its reason: see the redrive runbook',
      minutes: [1, 1],
    },
    BatchControlDeadLetters: {
      metric: batch.control.metricDeadLetters(minute),
      threshold: 0,
      description: 'Batches could not be split, put together or told of, and lie in the dead letters',
      minutes: [1, 1],
    },
    BatchItemFailures: {
      metric: new cloudwatch.MathExpression({
        expression: `IF(FILL(failed, 0) + FILL(completed, 0) >= ${FEWEST_ITEMS}, 100 * FILL(failed, 0) / (FILL(failed, 0) + FILL(completed, 0)), 0)`,
        usingMetrics: { completed: items.completed, failed: items.failed },
        label: `Failed items, per cent of at least ${FEWEST_ITEMS} a minute`,
        ...minute,
      }),
      threshold: failureRate,
      description: `More than ${failureRate} % of the items of batches fail`,
    },
    // A deferred item is sent anew, so that no message grows old by it.
    BatchItemsStalled: {
      metric: new cloudwatch.MathExpression({
        expression: 'IF(FILL(failed, 0) + FILL(completed, 0) == 0, FILL(deferred, 0), 0)',
        usingMetrics: items,
        label: 'Items put off while none ends',
        ...minute,
      }),
      threshold: 0,
      description:
        'For half an hour items were only put off: no capacity is left for background work, or a breaker is open',
      minutes: [30, 30],
    },
    BatchBreakerOpened: {
      metric: batch.metricBreakerOpened(minute),
      threshold: 0,
      description:
        'A breaker opened at an item: a backend fails and is left alone. The log and the event bus say which',
      minutes: [1, 1],
    },
    BatchControlErrors: {
      metric: batch.metricControlErrors(minute),
      threshold: 0,
      description:
        'Splitting a batch, putting it together or telling of it failed, and is tried again. The log says why',
      minutes: [2, 5],
    },
    BatchWorkerErrors: {
      metric: batch.worker.function.metricErrors(minute),
      threshold: 0,
      description: 'A worker failed as a whole: its items are delivered again. The log says why',
      minutes: [2, 5],
    },
    BatchApiErrors: {
      metric: batch.api.function.metricErrors(minute),
      threshold: 0,
      description: 'The function that takes files, batches and jobs failed',
      minutes: [2, 5],
    },
  };
}
