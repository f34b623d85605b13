import { hash } from 'node:crypto';

/** 64 bits of an id, in two halves. */
const HALVES = 2;

/**
 * The custom ids of a batch that have been seen: a table of 64 bits each, of fixed size. Of a million ids, the chance that
 * any two different ones are taken for the same is 3 in 100 million.
 */
export class SeenIds {
  private readonly slots: Uint32Array;
  private readonly mask: number;

  /**
   * @param most ids that it will see at most. Its memory is taken here, all of it: a batch that grows does not find that
   * there is none left.
   */
  constructor(most: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2, most * 2)));
    this.mask = slots - 1;
    // Filled with something else first: the system gives a page of zeros only once it is written to.
    this.slots = new Uint32Array(slots * HALVES).fill(1).fill(0);
  }

  /** Notes an id; false where it has been seen before. */
  public add(id: string): boolean {
    const digest = hash('sha256', id, 'buffer');
    const high = digest.readUInt32LE(0);
    // Zero stands for a free slot.
    const low = digest.readUInt32LE(4) || 1;
    for (let slot = high & this.mask; ; slot = (slot + 1) & this.mask) {
      const at = slot * HALVES;
      if (this.slots[at + 1] === 0) {
        this.slots[at] = high;
        this.slots[at + 1] = low;
        return true;
      }
      if (this.slots[at] === high && this.slots[at + 1] === low) return false;
    }
  }
}
