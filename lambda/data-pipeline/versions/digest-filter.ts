/** 16 MiB: with ten million digests, one in some 500 that were not added is taken for one that was. */
const BITS = 2 ** 27;

/** Bits for each digest, each found by 32 of its own 256: a SHA-256 needs no more hashing. */
const BITS_EACH = 7;

/**
 * A set of SHA-256 digests in the same memory however many there are: a Bloom filter. It has every digest that was added,
 * and now and then one that was not.
 */
export class DigestFilter {
  private readonly bits = new Uint8Array(BITS / 8);

  /** @param digest 64 hexadecimal digits */
  public add(digest: string): void {
    for (const bit of bitsOf(digest)) this.bits[bit >>> 3]! |= 1 << (bit & 7);
  }

  /** Whether the digest was added; rarely true of one that was not. */
  public has(digest: string): boolean {
    return bitsOf(digest).every((bit) => (this.bits[bit >>> 3]! & (1 << (bit & 7))) !== 0);
  }
}

function bitsOf(digest: string): number[] {
  return Array.from({ length: BITS_EACH }, (_, i) => parseInt(digest.slice(8 * i, 8 * i + 8), 16) % BITS);
}
