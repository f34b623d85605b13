/** Numbers that look random and are the same for the same seed, above 0 and below 1. */
export type Random = () => number;

/**
 * The generator sfc32 of PractRand, 128 bits of state. Each stream of one seed is independent of the others, so that a
 * change to what one part of a simulation draws leaves the rest as it was.
 */
export function seededRandom(seed: number, stream: number): Random {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = stream | 0;
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return ((sum >>> 0) + 0.5) / 2 ** 32;
  };
  // What is left of the seed's own pattern after this many draws passes the statistical tests.
  for (let draw = 0; draw < 15; draw++) next();
  return next;
}

/** Times between the events of a Poisson process of the given rate. */
export function exponential(random: Random, rate: number): number {
  return -Math.log(random()) / rate;
}

/** A draw from the normal distribution of mean 0 and deviation 1 (Box and Muller). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
}
