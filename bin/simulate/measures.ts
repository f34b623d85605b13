import { Outcome, type Requests } from './requests';

/**
 * When a first token is in time: within so many milliseconds for inputs of up to so many tokens, and in proportion for
 * longer ones. Computing a long input takes longer on any hardware: a limit that does not grow with it would count long
 * inputs as late on an idle fleet.
 */
export interface FirstTokenObjective {
  readonly milliseconds: number;
  readonly inputTokens: number;
}

/** MLPerf Inference's limit for a server of Llama 2 70B, 2 s at p99; its inputs have at most 1024 tokens. */
export const DEFAULT_OBJECTIVE: FirstTokenObjective = { milliseconds: 2000, inputTokens: 1024 };

/** Seconds that a first token may take. */
export function limitFor({ milliseconds, inputTokens }: FirstTokenObjective, input: number): number {
  return (milliseconds / 1000) * Math.max(1, input / inputTokens);
}

/** Requests that arrived in some time, measured. */
export interface Measures {
  readonly requests: number;
  readonly served: number;
  readonly refused: number;
  readonly timedOut: number;
  readonly broken: number;
  /** Share of all requests whose first token was in time and whose last token came. */
  readonly inTime: number;
  /** Seconds to the first token, of those that got one; NaN where none did. */
  readonly firstTokenP50: number;
  readonly firstTokenP99: number;
  /** Seconds to the last token, of those that were served. */
  readonly totalP50: number;
  readonly totalP99: number;
}

/** Measures the requests that arrived from `from` to before `to`, in seconds. */
export function measure(
  requests: Requests,
  objective: FirstTokenObjective,
  { from, to }: { readonly from: number; readonly to: number } = { from: 0, to: Infinity },
): Measures {
  const { arrivals, inputTokens } = requests.trace;
  const [first, end] = [lowerBound(arrivals, from), lowerBound(arrivals, to)];
  const outcomes = [0, 0, 0, 0, 0];
  const firstTokens = new Float64Array(end - first);
  const totals = new Float64Array(end - first);
  let begun = 0;
  let served = 0;
  let inTime = 0;
  for (let request = first; request < end; request++) {
    const outcome = requests.outcome[request]!;
    outcomes[outcome]! += 1;
    if (!requests.hasBegun(request)) continue;
    const seconds = requests.firstTokenAt[request]! - arrivals[request]!;
    firstTokens[begun++] = seconds;
    if (outcome !== Outcome.SERVED) continue;
    totals[served++] = requests.endedAt[request]! - arrivals[request]!;
    if (seconds <= limitFor(objective, inputTokens[request]!)) inTime += 1;
  }
  const firstToken = firstTokens.subarray(0, begun).sort();
  const total = totals.subarray(0, served).sort();
  return {
    requests: end - first,
    served,
    refused: outcomes[Outcome.REFUSED]!,
    timedOut: outcomes[Outcome.TIMED_OUT]!,
    broken: outcomes[Outcome.BROKEN]!,
    inTime: end > first ? inTime / (end - first) : NaN,
    firstTokenP50: quantile(firstToken, 0.5),
    firstTokenP99: quantile(firstToken, 0.99),
    totalP50: quantile(total, 0.5),
    totalP99: quantile(total, 0.99),
  };
}

/** The least value that so large a share of sorted values does not exceed; NaN of none. */
export function quantile(sorted: Float64Array, share: number): number {
  return sorted.length === 0 ? NaN : sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

/** Index of the first of sorted values that is not below `value`. */
export function lowerBound(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
