/** A number of instances that was wanted at some time, and by nothing larger since. */
export interface HeldSize {
  readonly at: number;
  readonly instances: number;
}

/**
 * Keeps what was wanted last for some time: an instance that goes and is missed soon costs a boot.
 *
 * @param held what was wanted, the largest and oldest first; undefined or out of date: then the size that there is counts
 * @param now milliseconds since 1970
 * @returns what is to be remembered; its first entry is the most that was wanted within `seconds`
 */
export function hold(
  held: readonly HeldSize[] | undefined,
  now: number,
  wanted: number,
  { seconds, size }: { readonly seconds: number; readonly size: number },
): readonly [HeldSize, ...HeldSize[]] {
  const recent = held?.filter(({ at }) => at >= now - seconds * 1000) ?? [];
  const known = recent.length > 0 ? recent : [{ at: now, instances: size }];
  const [largest, ...smaller] = known.filter(({ instances }) => instances > wanted);
  const newest = { at: now, instances: wanted };
  return largest ? [largest, ...smaller, newest] : [newest];
}
