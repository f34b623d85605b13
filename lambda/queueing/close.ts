import { endingOf } from './batch-life';
import type { BatchBooks, ControlQueue } from './books';

/** What closing needs from outside. */
export interface ClosePorts {
  readonly batches: Pick<BatchBooks, 'counts' | 'change'>;
  readonly control: ControlQueue;
  /** Seconds since 1970. */
  readonly now: () => number;
}

/**
 * Closes a batch where all its items have ended, or its time is over, and has it finalised. Of several that find the same,
 * one does it.
 *
 * @returns whether this one did
 */
export async function close(tenant: string, id: string, { batches, control, now }: ClosePorts): Promise<boolean> {
  const counts = await batches.counts(id);
  const closed = await batches.change(tenant, id, (batch) => endingOf(batch, counts, now()));
  if (closed) await control.send({ v: 1, kind: 'finalise', tenant, batchId: id });
  return closed !== undefined;
}
