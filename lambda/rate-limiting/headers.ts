import { type Charge, type LimitName, remaining } from './gcra';

/** A limit that was charged, with its arrival time after it. */
export interface ChargedLimit {
  readonly charge: Charge;
  readonly arrival: number;
}

/** Limits that are told in the headers, by the name that OpenAI gives them there. */
const TOLD: readonly (LimitName & ('requests' | 'tokens'))[] = ['requests', 'tokens'];

/** The `x-ratelimit-*` headers of a response. A limit's size is its burst: what a rested client may spend at once. */
export function rateLimitHeaders(limits: readonly ChargedLimit[], now: number): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of TOLD) {
    const limit = limits.find(({ charge }) => charge.limit === name);
    if (!limit) continue;
    const { units, resetMs } = remaining(limit.charge, limit.arrival, now);
    headers[`x-ratelimit-limit-${name}`] = String(Math.round(limit.charge.burstMs / limit.charge.emissionMs));
    headers[`x-ratelimit-remaining-${name}`] = String(units);
    headers[`x-ratelimit-reset-${name}`] = duration(resetMs);
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
