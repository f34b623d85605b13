/** Calls that are kept of each kind: enough for a percentile of 0.99, few enough to follow a changing load. */
const KEPT = 100;

/** Fewer say nothing about a percentile. */
const LEAST = 20;

/** How long calls have waited for their first bytes, as this process has seen it: the last 100 of each kind. */
export class FirstByteTimes {
  private readonly kinds = new Map<string, { readonly times: Float64Array; count: number }>();

  /** Notes a call that waited so many milliseconds. */
  public note(kind: string, ms: number): void {
    let kept = this.kinds.get(kind);
    if (!kept) this.kinds.set(kind, (kept = { times: new Float64Array(KEPT), count: 0 }));
    kept.times[kept.count % KEPT] = ms;
    kept.count += 1;
  }

  /** The milliseconds within which this share of the calls had their first byte; undefined before 20 were measured. */
  public percentile(kind: string, share: number): number | undefined {
    const kept = this.kinds.get(kind);
    if (!kept || kept.count < LEAST) return undefined;
    const sorted = kept.times.slice(0, kept.count).sort();
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  }
}
