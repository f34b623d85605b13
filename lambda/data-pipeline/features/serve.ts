import { featuresOf } from '../../../lib/policy/features/columns';
import type { Feature, FeatureDefinition } from '../../../lib/policy/features/definition';
import { valueFault } from '../../../lib/policy/features/validate';
import { isRecord, show } from '../../../lib/policy/fields';
import { BadRequest } from '../service-call';
import type { FeatureValue } from './history';
import type { OnlineRow, OnlineStore } from './online-store';
import { isKey } from './record';
import { readingOf, type ReadingStatus } from './reading';

/** As many as one call of DynamoDB reads. */
const MOST_KEYS = 100;

/** A feature in an answer. */
export interface ServedFeature {
  /** The value, or the declared default where it is stale or missing; null where there is no default. */
  readonly value: FeatureValue | null;
  readonly status: ReadingStatus;
  /** Age of the newest value there is, in milliseconds: of a stale one, too. None where there is none. */
  readonly age_ms?: number;
}

/** The answer to a request for features: a row for each key, in their order. */
export interface ServedFeatures {
  readonly entity: string;
  /** When the values were read, RFC 3339: ages are as of then. */
  readonly served_at: string;
  readonly rows: readonly { readonly key: string; readonly features: Readonly<Record<string, ServedFeature>> }[];
}

/** What serving needs from outside. */
export interface ServePorts {
  readonly store: Pick<OnlineStore, 'read'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of each answer, before it leaves. */
  readonly served: (answer: ServedFeatures) => void | Promise<void>;
}

/**
 * Answers `{"entity", "keys": [...], "features": [...]}`; without `features`, all of the entity's.
 *
 * A value is served as a training set for this moment has it. What is stale or missing has the feature's default, and
 * says so.
 *
 * @throws BadRequest for a request that names what the definition lacks; what the store throws, where it cannot be read
 */
export async function serveFeatures(
  definition: FeatureDefinition,
  request: unknown,
  { store, now, served }: ServePorts,
): Promise<ServedFeatures> {
  const { entity, keys, features } = parseRequest(definition, request);
  const unique = [...new Set(keys)];
  const rows = await store.read(
    entity,
    unique,
    features.map(({ name }) => name),
  );
  const atMs = now();
  const answer: ServedFeatures = {
    entity,
    served_at: new Date(atMs).toISOString(),
    rows: keys.map((key) => {
      const row = rows[unique.indexOf(key)]!;
      const entries = features.map((feature) => [feature.name, servedFeature(feature, row, atMs)]);
      return { key, features: Object.fromEntries(entries) as Record<string, ServedFeature> };
    }),
  };
  await served(answer);
  return answer;
}

function servedFeature(feature: Feature, row: OnlineRow, atMs: number): ServedFeature {
  const kept = Object.hasOwn(row, feature.name) ? row[feature.name] : undefined;
  // What another version of the source computed means something else, and what was kept under another type cannot be read.
  const isOwn = kept?.sourceVersion === feature.sourceVersion && !valueFault(feature.type, kept.value);
  const newest = isOwn ? kept : undefined;
  const { value, status, ageMs } = readingOf(feature, newest, atMs);
  return { value, status, ...(ageMs !== undefined && { age_ms: Math.max(0, ageMs) }) };
}

function parseRequest(
  definition: FeatureDefinition,
  request: unknown,
): { readonly entity: string; readonly keys: readonly string[]; readonly features: readonly Feature[] } {
  if (!isRecord(request)) throw new BadRequest(`the request must be an object, got ${show(request)}`);
  const { entity, keys, features: names } = request;
  const known = typeof entity === 'string' ? featuresOf(definition, entity) : [];
  if (known.length === 0) throw new BadRequest(`entity must be one of the definition, got ${show(entity)}`, 'entity');
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MOST_KEYS || !keys.every(isKey)) {
    throw new BadRequest(`keys must be a list of 1 to ${MOST_KEYS} keys, got ${show(keys)}`, 'keys');
  }
  if (names === undefined) return { entity: entity as string, keys, features: known };
  if (!Array.isArray(names) || names.length === 0) {
    throw new BadRequest(`features must be a list of at least one name, got ${show(names)}`, 'features');
  }
  const features = [...new Set(names as unknown[])].map((name) => {
    const found = known.find((feature) => feature.name === name);
    if (!found)
      throw new BadRequest(`features must be of the entity "${entity as string}", got ${show(name)}`, 'features');
    return found;
  });
  return { entity: entity as string, keys, features };
}
