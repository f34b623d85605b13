/**
 * How much a fleet lets in at one time. A full model server queues what comes, and then everybody waits behind the few
 * that are too many; so a fleet that is rated lets in what its instances in service carry, and no more: the rest is for
 * the next backend of the chain, or is told to come again.
 */

/** Of what the instances are rated at: tokens are spread over them unevenly, and the first full one begins to queue. */
const FILLED = 0.92;

/** Tokens, input and reserved output, that a fleet lets in at one time. */
export function roomOf(inService: number, tokensPerInstance: number): number {
  return Math.floor(FILLED * inService * tokensPerInstance);
}

/** How long a room holds that nobody renews, in milliseconds: six rounds of the scaling signal. */
export const ROOM_LIFE_MS = 60_000;
