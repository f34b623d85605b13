import type { FeatureValue } from './history';
import type { ServedFeatures } from './serve';

/** A feature as it was served once, without the key: whom a value belongs to is not needed to compare distributions. */
export interface ServedSample {
  readonly entity: string;
  readonly feature: string;
  readonly value: FeatureValue;
}

/** How many readings an answer holds, by what they were. */
export interface ReadingCounts {
  readonly fresh: number;
  readonly stale: number;
  readonly missing: number;
}

/** Counts the readings of an answer. */
export function countReadings(answer: ServedFeatures): ReadingCounts {
  const counts = { fresh: 0, stale: 0, missing: 0 };
  for (const { features } of answer.rows) for (const { status } of Object.values(features)) counts[status]++;
  return counts;
}

/**
 * Collects a share of the rows that are served, and hands them on many at a time: one object for each row would cost
 * more than the look-up. What a function holds when it is ended is lost, which leaves a sample a sample.
 */
export class SampleBuffer {
  private samples: ServedSample[] = [];
  private since = 0;

  /**
   * @param settings `rate`: share of the rows, 0 to 1; handed on from `mostSamples` or after `mostAgeMs`
   * @param ports the clock, numbers from 0 up to 1, and where samples go
   */
  public constructor(
    private readonly settings: { readonly rate: number; readonly mostSamples: number; readonly mostAgeMs: number },
    private readonly ports: {
      readonly now: () => number;
      readonly random: () => number;
      readonly put: (samples: readonly ServedSample[]) => Promise<void>;
    },
  ) {}

  /** Takes fresh values of an answer: a fallback is the same every time, and counted apart. */
  public async add({ entity, rows }: ServedFeatures): Promise<void> {
    const { now, random } = this.ports;
    for (const { features } of rows) {
      if (random() >= this.settings.rate) continue;
      for (const [feature, { value, status }] of Object.entries(features)) {
        if (status !== 'fresh' || value === null) continue;
        if (this.samples.length === 0) this.since = now();
        this.samples.push({ entity, feature, value });
      }
    }
    const { mostSamples, mostAgeMs } = this.settings;
    const isDue = this.samples.length >= mostSamples || now() - this.since >= mostAgeMs;
    if (this.samples.length === 0 || !isDue) return;
    const samples = this.samples;
    this.samples = [];
    await this.ports.put(samples);
  }
}
