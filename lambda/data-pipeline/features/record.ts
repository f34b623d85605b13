import { featuresOf, FIRST_DAY } from '../../../lib/policy/features/columns';
import type { FeatureDefinition } from '../../../lib/policy/features/definition';
import { valueFault } from '../../../lib/policy/features/validate';
import { isRecord, show } from '../../../lib/policy/fields';
import { type FeatureValue, type HistoryRow, ingestIdOf } from './history';

/** What a clock of a source may be ahead: such a record is taken as of its arrival. */
const CLOCK_SKEW_MS = 60_000;

/** Key of an entity: DynamoDB's partition keys hold 2,048 bytes, and a character takes at most three. */
const MOST_KEY_CHARACTERS = 512;

/** An RFC 3339 time, without which `Date.parse` would read a time as the zone of whoever runs this. */
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

const FIRST_MS = Date.parse(FIRST_DAY);

/** Why a record cannot be taken. */
export interface RecordFault {
  /** Which rule it breaks. */
  readonly rule:
    | 'shape'
    | 'entity'
    | 'key'
    | 'event_time'
    | 'future_event'
    | 'source_version'
    | 'unknown_feature'
    | 'value'
    | 'no_value';
  /** What is wrong, in words that quote the value. */
  readonly reason: string;
}

/** A record that was taken, and of which entity it is. */
export interface TakenRecord {
  readonly entity: string;
  readonly row: HistoryRow;
}

/** With which batch a record came in, and when. */
export interface Arrival {
  readonly batch: string;
  readonly position: number;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * Reads a record: `{"entity", "key", "eventTime", "sourceVersion", "features": {name: value}}`, where `eventTime` is
 * RFC 3339 text or milliseconds since 1970.
 */
export function takeRecord(
  definition: FeatureDefinition,
  record: unknown,
  arrival: Arrival,
): TakenRecord | RecordFault {
  if (!isRecord(record)) return { rule: 'shape', reason: `the record must be an object, got ${show(record)}` };
  const { entity, key, eventTime, sourceVersion, features: values, ...others } = record;
  const [other] = Object.keys(others);
  if (other !== undefined) return { rule: 'shape', reason: `${other} is not a known field` };
  if (!isRecord(values)) return { rule: 'shape', reason: `features must be an object, got ${show(values)}` };
  const features = typeof entity === 'string' ? featuresOf(definition, entity) : [];
  if (features.length === 0)
    return { rule: 'entity', reason: `entity must be one of the definition, got ${show(entity)}` };
  if (!isKey(key)) {
    const expected = `text of 1 to ${MOST_KEY_CHARACTERS} characters`;
    return { rule: 'key', reason: `key must be ${expected}, got ${show(key)}` };
  }
  const eventMs = instantOf(eventTime);
  if (eventMs === undefined) {
    return { rule: 'event_time', reason: `eventTime must be an RFC 3339 time or milliseconds, got ${show(eventTime)}` };
  }
  if (eventMs < FIRST_MS) {
    const reason = `eventTime must not be before ${FIRST_DAY}, got ${show(eventTime)}: a number is taken for milliseconds`;
    return { rule: 'event_time', reason };
  }
  if (eventMs > arrival.nowMs + CLOCK_SKEW_MS) {
    return { rule: 'future_event', reason: `eventTime must not be in the future, got ${show(eventTime)}` };
  }

  const told: [string, FeatureValue][] = [];
  for (const [name, value] of Object.entries(values)) {
    const feature = features.find((each) => each.name === name);
    if (!feature)
      return { rule: 'unknown_feature', reason: `features.${name} is none of the entity "${entity as string}"` };
    if (feature.sourceVersion !== sourceVersion) {
      const reason = `sourceVersion must be ${show(feature.sourceVersion)} for ${name}, got ${show(sourceVersion)}`;
      return { rule: 'source_version', reason };
    }
    if (value === null) continue;
    const fault = valueFault(feature.type, value);
    if (fault) return { rule: 'value', reason: `features.${name} ${fault}` };
    told.push([name, value as FeatureValue]);
  }
  if (told.length === 0) return { rule: 'no_value', reason: 'features must hold at least one value' };
  return {
    entity: entity as string,
    row: {
      key,
      // So that no event is later than its arrival, and a request of any time reads what a training set has for it.
      eventMs: Math.min(eventMs, arrival.nowMs),
      ingestedMs: arrival.nowMs,
      ingestId: ingestIdOf(arrival.nowMs, arrival.batch, arrival.position),
      sourceVersion: sourceVersion as string,
      values: Object.fromEntries(told),
    },
  };
}

/** Whether something may be the key of an entity. */
export function isKey(key: unknown): key is string {
  return typeof key === 'string' && key.length >= 1 && key.length <= MOST_KEY_CHARACTERS && !/\p{Surrogate}/u.test(key);
}

/** Milliseconds since 1970, whole; undefined for what is no time after 1970. */
function instantOf(time: unknown): number | undefined {
  const ms = typeof time === 'string' && INSTANT.test(time) ? Date.parse(time) : time;
  return typeof ms === 'number' && Number.isSafeInteger(ms) && ms >= 0 ? ms : undefined;
}
