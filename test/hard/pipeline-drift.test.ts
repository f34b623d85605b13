import { describe, expect, it, jest } from '@jest/globals';
import { normal, seededRandom } from '../../bin/simulate/random';
import { resolvePipeline } from '../../lib/policy/pipeline/pipeline-defaults';
import { type Profile, ProfileBuilder } from '../../lambda/data-pipeline/monitors/profile';
import { type Finding, measure, type Measurement, watch } from '../../lambda/data-pipeline/monitors/watch';
import { report } from './report';

/** PIPELINE_DRIFT_QUARTERS=80 is the full size: so many times ninety days. */
const QUARTERS = Number(process.env.PIPELINE_DRIFT_QUARTERS ?? 8);
const DAYS = 90;
const DIMENSIONS = 16;

jest.setTimeout(300_000);

const PIPELINE = resolvePipeline({
  name: 'shop',
  stages: [
    {
      name: 'check',
      work: { check: {} },
      input: {
        type: 'object',
        properties: {
          price: { type: 'number' },
          country: { type: 'string' },
          note: { type: ['string', 'null'] },
          embedding: { type: 'array' },
        },
        required: ['price', 'country', 'embedding'],
      },
    },
  ],
  monitors: { fields: ['price', 'country'] },
});

/** What a day is like. */
interface Day {
  readonly volume: number;
  readonly nullShare: number;
  readonly faultShare: number;
  readonly price: number;
  readonly countries: readonly number[];
  readonly turn: number;
  readonly length: number;
}

/** Honest: half at week-ends, a tenth more at the end of a month, slow growth, noise of 6 %, and days off. */
function honestDay(day: number, random: () => number): Day {
  const week = [1, 1.02, 1.05, 1.03, 0.98, 0.55, 0.5][day % 7]!;
  const monthEnd = day % 30 >= 28 ? 1.1 : 1;
  const dayOff = random() < 0.01 ? 0.85 : 1;
  return {
    volume: Math.round(1200 * week * monthEnd * dayOff * 1.002 ** day * Math.exp(0.06 * normal(random))),
    nullShare: 0.3 + 0.02 * Math.sin(day / 9) + 0.005 * normal(random),
    faultShare: Math.max(0, 0.004 + 0.001 * normal(random)),
    price: 40 * Math.exp(0.02 * normal(random)),
    countries: [0.4, 0.3, 0.2, 0.1].map((share) => share * Math.exp(0.03 * normal(random))),
    turn: 0.05 * normal(random),
    length: 1,
  };
}

function profileOf(day: Day, random: () => number): { profile: Profile; counts: { read: number; faulty: number } } {
  const builder = new ProfileBuilder(PIPELINE);
  const total = day.countries.reduce((sum, share) => sum + share, 0);
  for (let i = 0; i < day.volume; i++) {
    let place = random() * total;
    const country = day.countries.findIndex((share) => (place -= share) < 0);
    const embedding = Array.from(
      { length: DIMENSIONS },
      (_, d) => 0.3 * normal(random) + (d === 0 ? Math.cos(day.turn) : d === 1 ? Math.sin(day.turn) : 0),
    );
    const norm = Math.hypot(...embedding) / day.length;
    const record = {
      price: day.price * Math.exp(0.8 * normal(random)),
      country: `c${country}`,
      note: random() < day.nullShare ? null : 'x',
      embedding: embedding.map((value) => value / norm),
    };
    builder.add(record, undefined);
  }
  const faulty = Math.round((day.volume * day.faultShare) / (1 - day.faultShare));
  return { profile: builder.build(), counts: { read: day.volume + faulty, faulty } };
}

class Watched {
  public readonly history: Measurement[][] = [];
  public pinned: Profile | undefined;

  constructor(private readonly random: () => number) {}

  /** Judges a day, and keeps it where it is to be part of the history. */
  public judge(day: Day, isKept: boolean): Finding[] {
    const { profile, counts } = profileOf(day, this.random);
    const measurements = measure(profile, counts);
    const findings = watch(profile, measurements, PIPELINE.monitors, {
      history: this.history,
      ...(this.pinned && { pinned: this.pinned }),
    });
    if (isKept) this.history.push(measurements);
    this.pinned ??= profile;
    return findings.filter(({ isAlarm }) => isAlarm);
  }
}

const SHIFTS: Readonly<Record<string, { change: (day: Day) => Day; monitor: string }>> = {
  'half of the volume is missing': {
    change: (day) => ({ ...day, volume: Math.round(day.volume / 2) }),
    monitor: 'volume',
  },
  'the volume doubles': { change: (day) => ({ ...day, volume: day.volume * 2 }), monitor: 'volume' },
  'nothing comes': { change: (day) => ({ ...day, volume: 0 }), monitor: 'volume' },
  'nulls go from 30 to 55 %': { change: (day) => ({ ...day, nullShare: day.nullShare + 0.25 }), monitor: 'nulls.note' },
  'ten times the faults': {
    change: (day) => ({ ...day, faultShare: day.faultShare * 10 + 0.02 }),
    monitor: 'completeness',
  },
  'prices are in cents': { change: (day) => ({ ...day, price: day.price * 100 }), monitor: 'drift.price' },
  'prices double': { change: (day) => ({ ...day, price: day.price * 2 }), monitor: 'drift.price' },
  'a country takes over': { change: (day) => ({ ...day, countries: [0.1, 0.1, 0.2, 0.6] }), monitor: 'drift.country' },
  'another embedding model': { change: (day) => ({ ...day, turn: 1.2 }), monitor: 'embedding.centroid' },
  'vectors that are not normalised': { change: (day) => ({ ...day, length: 7 }), monitor: 'embedding.norm' },
};

describe('monitors', () => {
  it('raise at most one false alarm in ninety days of honest variation, and alarm each planted shift in its first window', () => {
    const falseAlarms: number[] = [];
    const missed: string[] = [];
    let planted = 0;
    for (let seed = 1; seed <= QUARTERS; seed++) {
      const random = seededRandom(seed, 1);
      const watched = new Watched(random);
      const alarms: Finding[] = [];
      for (let day = 0; day < DAYS; day++) {
        const honest = honestDay(day, random);
        // Shifts are tried from the third week on, on a day of their own that leaves no trace.
        const tried = day >= 21 && day % 10 === seed % 10 ? Object.entries(SHIFTS) : [];
        for (const [name, { change, monitor }] of tried) {
          planted++;
          const found = watched.judge(change(honest), false).map((finding) => finding.monitor);
          const isFound = found.includes(monitor) || (name === 'nothing comes' && found.length > 0);
          if (!isFound) missed.push(`${name}, day ${day}, seed ${seed}`);
        }
        alarms.push(...watched.judge(honest, true));
      }
      falseAlarms.push(alarms.length);
      expect({ seed, alarms: alarms.slice(1).map(({ monitor, detail }) => `${monitor} ${detail}`) }).toEqual({
        seed,
        alarms: [],
      });
    }
    report('drift', { quarters: QUARTERS, monitors: 14, falseAlarms, planted, missed: missed.length });
    expect(missed).toEqual([]);
  });

  it('are silent before there is enough history, whatever comes', () => {
    const random = seededRandom(1, 2);
    const watched = new Watched(random);
    for (let day = 0; day < 14; day++) {
      const wild = {
        ...honestDay(day, random),
        volume: Math.round(2000 * random()),
        nullShare: random(),
        faultShare: random() / 2,
      };
      expect(watched.judge(wild, true).map(({ monitor }) => monitor)).toEqual([]);
    }
  });

  it('alarm data that has not come for too long, and only where the run has a time', () => {
    const monitors = { ...PIPELINE.monitors, mostAgeSeconds: 3600 };
    const profile = { records: 1, given: {}, fields: {}, watermark: 10_000_000 };
    const at = (asOf: number) =>
      watch(profile, [], monitors, { history: [], asOf }).map(({ monitor, isAlarm }) => [monitor, isAlarm]);
    expect(at(10_000_000 + 3_600_000)).toEqual([['freshness', false]]);
    expect(at(10_000_000 + 3_601_000)).toEqual([['freshness', true]]);
    expect(watch(profile, [], monitors, { history: [] })).toEqual([]);
    expect(watch({ ...profile, watermark: undefined }, [], monitors, { history: [], asOf: 0 })[0]?.isAlarm).toBe(true);
  });
});
