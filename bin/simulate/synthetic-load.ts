import type { RateEnvelope } from './envelope';
import { normal, type Random } from './random';
import type { Lengths } from './trace';

const WINDOW_SECONDS = 600;
const DAY_SECONDS = 86_400;

/** Peak over mean of a day of chat traffic, and the noise of its windows (ServeGen's language classes). */
const DAILY_SWING = 0.5;
const WINDOW_NOISE = 0.1;

/**
 * A day that begins at its quietest hour, with its peak twelve hours later, and noise from window to window: what is
 * replayed where no trace is given.
 */
export function syntheticEnvelope(meanRate: number, seconds: number, random: Random): RateEnvelope {
  const windows = Math.max(1, Math.ceil(seconds / WINDOW_SECONDS));
  const windowSeconds = seconds / windows;
  const rates = Float64Array.from({ length: windows }, (_, window) => {
    const daily = 1 - DAILY_SWING * Math.cos((2 * Math.PI * (window + 0.5) * windowSeconds) / DAY_SECONDS);
    return meanRate * daily * Math.exp(WINDOW_NOISE * normal(random) - WINDOW_NOISE ** 2 / 2);
  });
  return { source: `synthetic load of ${meanRate} requests/s`, rates, windowSeconds };
}

/** Lengths drawn once to draw from: enough that their means hold within a per cent. */
const SAMPLES = 20_000;

/**
 * Log-normal lengths, input and output independent, with the means of Azure's chat trace of 2023 (1155 and 211 tokens)
 * and about its spread; none beyond what the trace has (14,050 and 1,000 tokens).
 */
export function syntheticLengths(random: Random): Lengths {
  const draw = (mean: number, sigma: number, most: number) =>
    Int32Array.from({ length: SAMPLES }, () => {
      const length = Math.round(mean * Math.exp(sigma * normal(random) - sigma ** 2 / 2));
      return Math.min(most, Math.max(1, length));
    });
  return { inputTokens: draw(1155, 0.9, 14_050), outputTokens: draw(211, 0.8, 1000) };
}
