import type { ResolvedBatch } from './defaults';

/** Messages that an event source hands a worker at once; of a standard queue without a batching window at most ten. */
export const ITEMS_PER_INVOCATION = 10;

/** Fewer workers at once than two cannot be asked of an event source. */
const FEWEST_WORKERS = 2;

/** How many workers run, and how many items each of them works on at a time. */
export interface BatchWorkers {
  /** Workers at the same time: `maxConcurrency` of the event source. */
  readonly workers: number;
  /** Items that one works on at the same time, of the up to ten that it is handed. */
  readonly itemsEach: number;
}

/** Workers and their items, so that together they have at most `parallelItems` in progress. */
export function batchWorkers({ parallelItems }: Pick<ResolvedBatch, 'parallelItems'>): BatchWorkers {
  const workers = Math.max(FEWEST_WORKERS, Math.floor(parallelItems / ITEMS_PER_INVOCATION));
  return { workers, itemsEach: Math.min(ITEMS_PER_INVOCATION, Math.max(1, Math.floor(parallelItems / workers))) };
}
