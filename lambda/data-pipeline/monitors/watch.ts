import type { ResolvedMonitors } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { EmbeddingProfile, Profile } from './profile';
import { judge } from './seasonal';
import { quantileOf } from './sketch';
import { stabilityOf } from './stability';

/** One value that is watched in each version. */
export interface Measurement {
  /** Such as `volume` or `nulls.country`. */
  readonly name: string;
  /** On the scale that it is judged on: logarithms of counts and sizes, and shares as they are. */
  readonly value: number;
  readonly kind: 'count' | 'share' | 'size';
  /** Records that the value was taken from. */
  readonly records: number;
}

/** What was found of one monitor. */
export interface Finding {
  readonly monitor: string;
  readonly value: number;
  readonly isAlarm: boolean;
  /** For people: what was expected, or why it is not judged. */
  readonly detail: string;
}

/** Versions differ by so much, whatever the counts: 3 % of a volume, 0.2 % of a share. */
const LEAST_VOLUME_DEVIATION = 0.03;
const LEAST_SHARE_DEVIATION = 0.002;
/** A bin of a sketch is 9 % wide; half of it is no change. */
const LEAST_QUANTILE_DEVIATION = 0.05;
const EDGES = [0.01, 0.99];
/** Share by which the mean length of vectors may change: a model gives one length, or nearly. */
const MOST_NORM_CHANGE = 0.05;

/** The values of a version that are judged by the versions before it. They are kept with it. */
export function measure(profile: Profile, counts: { readonly read: number; readonly faulty: number }): Measurement[] {
  const { records } = profile;
  const measurements: Measurement[] = [{ name: 'volume', value: Math.log1p(records), kind: 'count', records }];
  measurements.push(...shareOf('completeness', counts.read - counts.faulty, counts.read));
  for (const [field, given] of Object.entries(profile.given)) {
    measurements.push(...shareOf(`nulls.${field}`, records - given, records));
  }
  for (const [field, sketch] of Object.entries(profile.fields)) {
    for (const edge of EDGES) {
      const value = quantileOf(sketch, edge);
      if (value === undefined) continue;
      const scaled = Math.sign(value) * Math.log1p(Math.abs(value));
      measurements.push({ name: `range.${field}.p${edge * 100}`, value: scaled, kind: 'size', records: sketch.count });
    }
  }
  return measurements;
}

/** Of nothing there is no share. */
function shareOf(name: string, part: number, whole: number): Measurement[] {
  return whole === 0 ? [] : [{ name, value: part / whole, kind: 'share', records: whole }];
}

/** The standard deviation that a value has by counting alone, where `expected` is true. */
function leastDeviation({ kind, records }: Measurement, expected: number): number {
  if (kind === 'count') return Math.hypot(LEAST_VOLUME_DEVIATION, 1 / Math.sqrt(Math.exp(Math.max(0, expected))));
  // Few records say little of their edges.
  if (kind === 'size') return Math.hypot(LEAST_QUANTILE_DEVIATION, 2 / Math.sqrt(records * 0.01 + 1));
  // One more record of either kind keeps the deviation of a share of 0 or 1 from being nothing.
  const likely = (Math.min(1, Math.max(0, expected)) * records + 1) / (records + 2);
  return Math.hypot(LEAST_SHARE_DEVIATION, Math.sqrt((likely * (1 - likely)) / (records + 2)));
}

/** What a version is compared with. */
export interface WatchContext {
  /** Measurements of the versions before, oldest first. */
  readonly history: readonly (readonly Measurement[])[];
  /** The profile that distributions are compared with. */
  readonly pinned?: Profile;
  /** The time that the run is for, in milliseconds since 1970. */
  readonly asOf?: number;
}

/** Judges a version. Nothing alarms before there is enough history; freshness and pinned distributions need none. */
export function watch(
  profile: Profile,
  measurements: readonly Measurement[],
  monitors: ResolvedMonitors,
  { history, pinned, asOf }: WatchContext,
): Finding[] {
  const recent = history.slice(-monitors.history);
  return [
    ...measurements.map((measurement) => judgeMeasurement(measurement, recent, monitors)),
    ...freshness(profile, monitors, asOf),
    ...(pinned ? drift(profile, pinned, monitors) : []),
  ];
}

function judgeMeasurement(
  measurement: Measurement,
  history: WatchContext['history'],
  monitors: ResolvedMonitors,
): Finding {
  const { name, value } = measurement;
  const past = history.flatMap((entries) => entries.filter((entry) => entry.name === name).map((entry) => entry.value));
  const judgement = judge(past, value, (expected) => leastDeviation(measurement, expected), monitors);
  if (!judgement)
    return { monitor: name, value, isAlarm: false, detail: `${past.length} versions of history, too few to judge` };
  const { expected, deviations, most, isAlarm } = judgement;
  const detail = `expected ${round(expected)}, off by ${round(deviations)} of ${round(most)} deviations`;
  return { monitor: name, value, isAlarm, detail };
}

function freshness({ watermark }: Profile, { mostAgeSeconds }: ResolvedMonitors, asOf: number | undefined): Finding[] {
  if (mostAgeSeconds === undefined || asOf === undefined) return [];
  const age = watermark === undefined ? Infinity : (asOf - watermark) / 1000;
  return [{ monitor: 'freshness', value: age, isAlarm: age > mostAgeSeconds, detail: `at most ${mostAgeSeconds} s` }];
}

function drift(profile: Profile, pinned: Profile, { mostPsi, mostCentroidDistance }: ResolvedMonitors): Finding[] {
  const findings: Finding[] = [];
  for (const [field, sketch] of Object.entries(profile.fields)) {
    const stability = Object.hasOwn(pinned.fields, field) && stabilityOf(pinned.fields[field]!, sketch);
    if (!stability) continue;
    const most = Math.max(mostPsi, stability.byChance);
    findings.push({
      monitor: `drift.${field}`,
      value: stability.index,
      isAlarm: stability.index > most,
      detail: `at most ${round(most)}`,
    });
  }
  if (profile.embedding && pinned.embedding)
    findings.push(...embeddingDrift(profile.embedding, pinned.embedding, mostCentroidDistance));
  return findings;
}

function embeddingDrift(current: EmbeddingProfile, pinned: EmbeddingProfile, mostDistance: number): Finding[] {
  const distance = current.sum.length === pinned.sum.length ? cosineDistance(current.sum, pinned.sum) : 2;
  const norm = current.norms / current.count;
  const before = pinned.norms / pinned.count;
  const spread = Math.sqrt(Math.max(0, pinned.squaredNorms / pinned.count - before ** 2));
  const most = Math.max(MOST_NORM_CHANGE * before, (6 * spread) / Math.sqrt(current.count));
  return [
    {
      monitor: 'embedding.centroid',
      value: distance,
      isAlarm: distance > mostDistance,
      detail: `at most ${mostDistance}`,
    },
    {
      monitor: 'embedding.norm',
      value: norm,
      isAlarm: Math.abs(norm - before) > most,
      detail: `${round(before)} ± ${round(most)}`,
    },
  ];
}

function cosineDistance(a: readonly number[], b: readonly number[]): number {
  let [product, one, other] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    one += a[i]! ** 2;
    other += b[i]! ** 2;
  }
  return one === 0 || other === 0 ? 1 : 1 - product / Math.sqrt(one * other);
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
