import { isOpen } from './batch-life';
import { type BatchRecord, hasEnded } from './batch-record';
import type { Claim } from './item';

/**
 * What a batch says to a claim of one of its items: nothing, where the item may be worked on if nobody else has it.
 *
 * @param redriven whether an operator sent the item again
 * @param now seconds since 1970
 */
export function claimable(batch: BatchRecord | undefined, redriven: boolean, now: number): Claim | undefined {
  if (!batch) return { kind: 'unknown' };
  // What was set aside may be made up for as long as its batch is kept.
  if (batch.ending === 'completed' && redriven) return undefined;
  if (hasEnded(batch)) return { kind: 'done' };
  if (batch.status === 'cancelling') return { kind: 'over', reason: 'cancelled' };
  if (batch.ending === 'expired' || now >= batch.deadline) return { kind: 'over', reason: 'expired' };
  return isOpen(batch) ? undefined : { kind: 'done' };
}
