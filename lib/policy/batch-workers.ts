import type { ResolvedBatch } from './defaults';

/**
 * Messages that an event source hands a worker at once. An invocation lasts as long as its slowest item, and a tenant that
 * comes new waits for that: few items each keep the slots busy and the wait short, and one worker for each would wait for
 * the model at five times the price.
 */
const ITEMS_PER_INVOCATION = 5;

/** Lambda's limit on the concurrency of an event source. */
const MOST_WORKERS = 1000;

/** Fewer workers at once than two cannot be asked of an event source. */
const FEWEST_WORKERS = 2;

/** How many workers run, and how many items each of them works on at a time. */
export interface BatchWorkers {
  /** Workers at the same time: `maxConcurrency` of the event source. */
  readonly workers: number;
  /** Items that one works on at the same time, as many as it is handed. */
  readonly itemsEach: number;
}

/** Workers and their items, so that together they have at most `parallelItems` in progress. */
export function batchWorkers({ parallelItems }: Pick<ResolvedBatch, 'parallelItems'>): BatchWorkers {
  const most = Math.max(ITEMS_PER_INVOCATION, Math.ceil(parallelItems / MOST_WORKERS));
  const workers = Math.max(FEWEST_WORKERS, Math.floor(parallelItems / most));
  return { workers, itemsEach: Math.min(most, Math.max(1, Math.floor(parallelItems / workers))) };
}
