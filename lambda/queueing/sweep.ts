import { endingOf, isOpen, SETTLED } from './batch-life';
import { type BatchRecord, hasEnded, type ItemCounts } from './batch-record';

/** A splitter notes each flight, in seconds; one that has been silent for so long has died. */
export const SILENT_SECONDS = 180;

/** What the sweeper does about a batch. */
export type Repair =
  /** Nothing: it goes its way. */
  | 'none'
  /** Nobody splits it: have it split. */
  | 'split'
  /** No more results are awaited: note that, and have it finalised. */
  | 'close'
  /** Nobody finalises it: have it finalised. */
  | 'finalise'
  /** It has ended: tell its tenant, and look after it no more. */
  | 'tell';

/**
 * What a batch needs that has lost its place in the queues: a function that died between two steps, or a time that is
 * over. Each repair may be made in vain; none does harm.
 *
 * @param counts of its items; asked for only where they matter
 * @param now seconds since 1970
 */
export async function repairOf(batch: BatchRecord, counts: () => Promise<ItemCounts>, now: number): Promise<Repair> {
  const { final, split } = batch;
  if (hasEnded(batch)) {
    const unfinished = batch.stale === true || (final !== undefined && final.until !== SETTLED);
    if (!unfinished) return 'tell';
    return (final?.until ?? 0) < now ? 'finalise' : 'none';
  }
  if (batch.ending !== undefined) return final === undefined || final.until < now ? 'finalise' : 'none';
  if (endingOf(batch, await counts(), now)) return 'close';
  if (isOpen(batch) && !split.done && split.at + SILENT_SECONDS < now) return 'split';
  return 'none';
}
