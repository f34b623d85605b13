import type { Feature, FeatureDefinition } from '../../../lib/policy/features/definition';
import { entitiesOf, featuresOf } from '../../../lib/policy/features/columns';
import { SAMPLES_PREFIX } from '../../../lib/policy/features/prefixes';
import { dayOf } from '../../../lib/policy/features/training-sql';
import type { FeatureValue, HistoryRow } from './history';
import { dayPrefix } from './offline-file';
import type { ServedSample } from './served-sample';
import { type Skew, skewOf } from './skew';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** What is compared with what. */
export interface SkewSettings {
  /** Hours of served values, up to now. */
  readonly windowHours: number;
  /** Days of the training data, both included; without them the seven days before the window. */
  readonly trainingDays?: { readonly first: string; readonly last: string };
  /** The most bytes of objects that are read for either side of one entity: a sample of the objects, where there are more. */
  readonly mostBytes: number;
}

/** What a round needs from outside. */
export interface SkewPorts {
  readonly list: (prefix: string) => AsyncIterable<{ readonly key: string; readonly bytes: number }>;
  readonly readSamples: (key: string) => Promise<readonly ServedSample[]>;
  readonly readRows: (key: string, features: readonly string[]) => Promise<readonly HistoryRow[]>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Numbers from 0 up to 1. */
  readonly random: () => number;
  readonly found: (feature: Feature, skew: Skew) => void;
}

/** Compares what was served of each feature with what models were trained on. A feature with few values is passed over. */
export async function skewRound(
  definition: FeatureDefinition,
  { windowHours, trainingDays, mostBytes }: SkewSettings,
  ports: SkewPorts,
): Promise<void> {
  const now = ports.now();
  const hours = Array.from({ length: windowHours }, (_, i) => samplePrefix(now - i * HOUR_MS));
  const sampled = await someOf(hours, mostBytes, ports);
  const samples = (await Promise.all(sampled.map((key) => ports.readSamples(key)))).flat();

  const end = now - windowHours * HOUR_MS;
  const days = trainingDays ?? { first: dayOf(end - 7 * DAY_MS), last: dayOf(end - DAY_MS) };
  for (const entity of entitiesOf(definition)) {
    const features = featuresOf(definition, entity);
    const prefixes = daysOf(days.first, days.last).map((day) => dayPrefix(entity, day));
    const rows: HistoryRow[] = [];
    for (const key of await someOf(prefixes, mostBytes, ports)) {
      const names = features.map(({ name }) => name);
      rows.push(...(await ports.readRows(key, names)));
    }
    for (const feature of features) {
      const served = samples
        .filter((sample) => sample.entity === entity && sample.feature === feature.name)
        .map(({ value }) => value);
      const skew = skewOf(feature, served, valuesOf(feature, rows));
      if (skew) ports.found(feature, skew);
    }
  }
}

/** Where the samples of an hour lie. */
export function samplePrefix(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${SAMPLES_PREFIX}day=${iso.slice(0, 10)}/hour=${iso.slice(11, 13)}/`;
}

/** Keys of objects below prefixes, in an order of chance, as many as fit into the bytes; at least one. */
async function someOf(prefixes: readonly string[], mostBytes: number, { list, random }: SkewPorts): Promise<string[]> {
  const objects: { readonly key: string; readonly bytes: number; readonly place: number }[] = [];
  for (const prefix of prefixes) for await (const each of list(prefix)) objects.push({ ...each, place: random() });
  objects.sort((one, other) => one.place - other.place);
  let bytes = 0;
  const fitting = objects.filter((each, i) => {
    if (i > 0 && bytes + each.bytes > mostBytes) return false;
    bytes += each.bytes;
    return true;
  });
  return fitting.map(({ key }) => key);
}

function valuesOf({ name, sourceVersion }: Feature, rows: readonly HistoryRow[]): FeatureValue[] {
  return rows.flatMap((row) => (row.sourceVersion === sourceVersion ? (row.values[name] ?? []) : []));
}

function daysOf(first: string, last: string): string[] {
  const days: string[] = [];
  for (let ms = Date.parse(`${first}T00:00:00Z`); ms <= Date.parse(`${last}T00:00:00Z`); ms += DAY_MS)
    days.push(dayOf(ms));
  return days;
}
