import { type Charge, type LimitName, remaining } from './gcra';

/** A limit that was charged, with its arrival time after it. */
export interface ChargedLimit {
  readonly charge: Charge;
  readonly arrival: number;
}

/** Limits that are told in the headers, by the name that OpenAI gives them there. */
const TOLD: readonly (LimitName & ('requests' | 'tokens'))[] = ['requests', 'tokens'];

/**
 * The `x-ratelimit-*` headers of a response. A limit's size is its burst: what a rested client may spend at once. Of a
 * plan's limit and that of the model, the one with less left is told.
 */
export function rateLimitHeaders(limits: readonly ChargedLimit[], now: number): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of TOLD) {
    let told: { readonly charge: Charge; readonly units: number; readonly resetMs: number } | undefined;
    for (const { charge, arrival } of limits) {
      if (charge.limit !== name) continue;
      const left = remaining(charge, arrival, now);
      if (!told || left.units < told.units) told = { charge, ...left };
    }
    if (!told) continue;
    headers[`x-ratelimit-limit-${name}`] = String(Math.round(told.charge.burstMs / told.charge.emissionMs));
    headers[`x-ratelimit-remaining-${name}`] = String(told.units);
    headers[`x-ratelimit-reset-${name}`] = duration(told.resetMs);
  }
  return headers;
}

/** A time span as OpenAI writes it, which is Go's way: `250ms`, `1.5s`, `6m0s`. Rounded up to whole milliseconds. */
export function duration(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole < 1000) return `${whole}ms`;
  const [hours, minutes] = [Math.floor(whole / 3_600_000), Math.floor(whole / 60_000) % 60];
  const seconds = (whole % 60_000) / 1000;
  return `${hours > 0 ? `${hours}h` : ''}${hours + minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
}
