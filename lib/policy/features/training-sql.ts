import { show } from '../fields';
import { DAY_COLUMN, KEY_COLUMNS, featuresOf } from './columns';
import { type Feature, type FeatureDefinition, FeatureType } from './definition';
import { LateArrivals, type TrainingSet } from './training-set';

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Digits of a time in an order key: milliseconds up to the year 33658. */
const TIME_DIGITS = 15;

/** A type as the SQL of Athena names it, and Glue's catalogue of tables. */
export const SQL_TYPES: Record<FeatureType, { readonly sql: string; readonly glue: string }> = {
  [FeatureType.BOOLEAN]: { sql: 'BOOLEAN', glue: 'boolean' },
  [FeatureType.INTEGER]: { sql: 'BIGINT', glue: 'bigint' },
  [FeatureType.NUMBER]: { sql: 'DOUBLE', glue: 'double' },
  [FeatureType.TEXT]: { sql: 'VARCHAR', glue: 'string' },
};

/**
 * The query of a point-in-time correct training set, for Athena: each label with, for each feature, the newest value by
 * the time of its event that is not after the label, not older than the feature's time to live, and, unless late
 * arrivals are included, had come in by then. Of values of one time the one that came in last wins. Besides a feature's
 * column stand `<name>__status` (`fresh`, `stale`, `missing`: the latter two have the default) and `<name>__age_ms`.
 *
 * Labels and history are laid on one line of time, on which a window looks back from each label: one pass over the
 * history, sorted by entity, where a join by ranges would compare each label with all that its entity has ever had.
 *
 * @param database database of the offline tables; may be a token
 * @throws where the set names what the definition lacks
 */
export function trainingSetSql(definition: FeatureDefinition, database: string, set: TrainingSet): string {
  const features = wantedFeatures(definition, set);
  const { key, event, ingested, id, source } = KEY_COLUMNS;
  const visible =
    set.lateArrivals === LateArrivals.INCLUDE
      ? event
      : `CASE WHEN ${event} > ${ingested} THEN ${event} ELSE ${ingested} END`;
  const labels = `${quoted(set.labelDatabase)}.${quoted(set.labelTable)}`;
  const columns = (columnOf: (feature: Feature) => readonly string[], indent = '    ') =>
    features.flatMap(columnOf).map((column) => `,\n${indent}${column}`);
  return [
    'WITH history AS (',
    '  SELECT',
    `    ${key},`,
    `    ${visible} AS visible_ms,`,
    `    ${source},`,
    `    substr('${'0'.repeat(TIME_DIGITS)}' || CAST(${event} AS VARCHAR), -${TIME_DIGITS}) || '-' || ${id} AS order_key` +
      columns(({ name }) => [quoted(name)]).join(''),
    `  FROM ${quoted(database)}.${quoted(set.entity)}`,
    ...whereOf(set, features),
    '),',
    'timeline AS (',
    '  SELECT',
    `    ${key},`,
    '    visible_ms,',
    '    0 AS is_label' +
      columns(({ name }) => [quoted(name), `${applies(name)} AS ${quoted(`${name}__key`)}`]).join(''),
    '  FROM history',
    '  UNION ALL',
    '  SELECT DISTINCT',
    `    ${quoted(set.keyColumn)},`,
    `    ${quoted(set.timeColumn)},`,
    '    1' + columns(({ type }) => [`CAST(NULL AS ${SQL_TYPES[type].sql})`, 'CAST(NULL AS VARCHAR)']).join(''),
    `  FROM ${labels}`,
    '),',
    'picked AS (',
    '  SELECT',
    `    ${key},`,
    '    visible_ms,',
    '    is_label' +
      columns(({ name }) => [
        `max_by(${quoted(name)}, ${quoted(`${name}__key`)}) OVER ${WINDOW} AS ${quoted(name)}`,
        `max(${quoted(`${name}__key`)}) OVER ${WINDOW} AS ${quoted(`${name}__key`)}`,
      ]).join(''),
    '  FROM timeline',
    ')',
    'SELECT',
    '  l.*' + columns((feature) => resultOf(feature, set.timeColumn), '  ').join(''),
    `FROM ${labels} l`,
    `LEFT JOIN picked p ON p.is_label = 1 AND p.${key} = l.${quoted(set.keyColumn)} AND p.visible_ms = l.${quoted(set.timeColumn)}`,
  ].join('\n');

  /** The order key of a value that counts. */
  function applies(name: string): string {
    const { sourceVersion } = features.find((feature) => feature.name === name)!;
    return `CASE WHEN ${quoted(name)} IS NOT NULL AND ${source} = ${text(sourceVersion)} THEN order_key END`;
  }
}

const WINDOW =
  `(PARTITION BY ${KEY_COLUMNS.key} ORDER BY visible_ms, is_label ` +
  'ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)';

/** Value, status and age of a feature as of a label. */
function resultOf({ name, type, ttlSeconds, default: standIn }: Feature, timeColumn: string): string[] {
  const key = `p.${quoted(`${name}__key`)}`;
  const age = `l.${quoted(timeColumn)} - CAST(substr(${key}, 1, ${TIME_DIGITS}) AS BIGINT)`;
  const isFresh = `${key} IS NOT NULL AND ${age} <= ${ttlSeconds * 1000}`;
  const fallback = `CAST(${standIn === undefined ? 'NULL' : text(String(standIn))} AS ${SQL_TYPES[type].sql})`;
  const booleanFallback = typeof standIn === 'boolean' ? (standIn ? 'TRUE' : 'FALSE') : fallback;
  return [
    `CASE WHEN ${isFresh} THEN p.${quoted(name)} ELSE ${booleanFallback} END AS ${quoted(name)}`,
    `CASE WHEN ${key} IS NULL THEN 'missing' WHEN ${isFresh} THEN 'fresh' ELSE 'stale' END AS ${quoted(`${name}__status`)}`,
    `CASE WHEN ${key} IS NOT NULL THEN ${age} END AS ${quoted(`${name}__age_ms`)}`,
  ];
}

/** Partitions that cannot hold a value for any label are not read, and what came in too late for the reading neither. */
function whereOf({ firstDay, lastDay, readAtMs }: TrainingSet, features: readonly Feature[]): string[] {
  const longestTtlMs = Math.max(...features.map(({ ttlSeconds }) => ttlSeconds)) * 1000;
  const conditions = [
    ...(firstDay === undefined ? [] : [`${DAY_COLUMN} >= ${text(dayOf(dayMs('firstDay', firstDay) - longestTtlMs))}`]),
    ...(lastDay === undefined ? [] : [`${DAY_COLUMN} <= ${text(dayOf(dayMs('lastDay', lastDay)))}`]),
    ...(readAtMs === undefined ? [] : [`${KEY_COLUMNS.ingested} <= ${whole('readAtMs', readAtMs)}`]),
  ];
  return conditions.length === 0 ? [] : [`  WHERE ${conditions.join(' AND ')}`];
}

function wantedFeatures(definition: FeatureDefinition, { entity, features: names }: TrainingSet): Feature[] {
  const known = featuresOf(definition, entity);
  if (known.length === 0) {
    throw new Error(`entity must be one that has features in the definition, got ${show(entity)}`);
  }
  if (names === undefined) return known;
  if (names.length === 0) throw new Error('features must name at least one, or be left out for all');
  return [...new Set(names)].map((name) => {
    const found = known.find((feature) => feature.name === name);
    if (!found) throw new Error(`features must be of the entity "${entity}", got ${show(name)}`);
    return found;
  });
}

/** The date in UTC of a time in milliseconds since 1970. */
export function dayOf(ms: number): string {
  return new Date(Math.max(0, ms)).toISOString().slice(0, 10);
}

function dayMs(field: string, day: string): number {
  const ms = DAY.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms)) throw new Error(`${field} must be a date such as "2026-03-01", got ${show(day)}`);
  return ms;
}

function whole(field: string, value: number): number {
  if (!Number.isSafeInteger(value)) throw new Error(`${field} must be whole milliseconds since 1970, got ${value}`);
  return value;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
