import { type Check, type Fault, isRecord, listOf, mustBe, oneOf, shape, show, whole } from '../fields';
import { RESERVED_COLUMNS } from './columns';
import { FeatureType } from './definition';

const TEN_YEARS_SECONDS = 315_360_000;
const MOST_FEATURES = 1000;
/** So that a row stays far below the 400 kB of an item in DynamoDB. */
const MOST_FEATURES_OF_ENTITY = 200;

/** The most characters of a feature's text. */
export const MOST_TEXT_CHARACTERS = 4096;

const columnName = mustBe(
  'lower-case letters and digits, a letter first, with single underscores between, at most 63 characters',
  (value) => typeof value === 'string' && value.length <= 63 && /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(value),
);

const featureName: Check = (value, path, faults) => {
  columnName(value, path, faults);
  if (RESERVED_COLUMNS.includes(value as string)) {
    faults.push({ path, message: `must be none of the table's own columns (${RESERVED_COLUMNS.join(', ')})` });
  }
};

const feature = shape(
  {
    name: featureName,
    entity: columnName,
    type: oneOf(Object.values(FeatureType)),
    ttlSeconds: whole(1, TEN_YEARS_SECONDS),
    sourceVersion: mustBe(
      '1 to 64 letters, digits and any of . _ : -',
      (value) => typeof value === 'string' && /^[A-Za-z0-9._:-]{1,64}$/.test(value),
    ),
    default: mustBe('a truth, a number or text', (value) => ['boolean', 'number', 'string'].includes(typeof value)),
    description: mustBe(
      'text of 1 to 1000 characters',
      (value) => typeof value === 'string' && value.length >= 1 && value.length <= 1000,
    ),
  },
  ['name', 'entity', 'type', 'ttlSeconds', 'sourceVersion'],
);

const definition = shape(
  {
    name: mustBe(
      'lower-case letters, digits and hyphens, a letter or digit at each end, at most 63 characters',
      (value) => typeof value === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value),
    ),
    features: listOf(feature, 1),
    retired: listOf(featureName, 0),
  },
  ['name', 'features'],
);

/** What a value of a type must be, and how that is put into words. */
const VALUES: Record<FeatureType, { readonly expected: string; readonly holds: (value: unknown) => boolean }> = {
  [FeatureType.BOOLEAN]: { expected: 'true or false', holds: (value) => typeof value === 'boolean' },
  [FeatureType.INTEGER]: { expected: 'a whole number', holds: (value) => Number.isSafeInteger(value) },
  [FeatureType.NUMBER]: {
    expected: 'a number',
    holds: (value) => typeof value === 'number' && Number.isFinite(value),
  },
  [FeatureType.TEXT]: {
    expected: `text of at most ${MOST_TEXT_CHARACTERS} characters`,
    // A half of a character would be written as another one.
    holds: (value) =>
      typeof value === 'string' && value.length <= MOST_TEXT_CHARACTERS && !/\p{Surrogate}/u.test(value),
  },
};

/**
 * What is wrong with a value of a feature.
 *
 * @returns the words that follow «must be», or undefined where nothing is
 */
export function valueFault(type: FeatureType, value: unknown): string | undefined {
  const { expected, holds } = VALUES[type];
  return holds(value) ? undefined : `must be ${expected}, got ${show(value)}`;
}

/**
 * Everything that is wrong with a definition of features; empty for a valid one.
 *
 * Takes `unknown`, since a definition may come from a JSON file.
 */
export function validateFeatures(value: unknown): Fault[] {
  const faults: Fault[] = [];
  definition(value, '', faults);
  if (!isRecord(value)) return [{ path: 'definition', message: `must be an object, got ${show(value)}` }];
  const features = Array.isArray(value.features) ? value.features.map((entry) => (isRecord(entry) ? entry : {})) : [];
  if (features.length > MOST_FEATURES) {
    faults.push({ path: 'features', message: `must be at most ${MOST_FEATURES}, got ${features.length}` });
  }
  const retired = Array.isArray(value.retired) ? (value.retired as unknown[]) : [];
  features.forEach(({ name, type, default: standIn }, i) => {
    const at = `features[${i}]`;
    if (name !== undefined && features.findIndex((other) => other.name === name) < i) {
      faults.push({ path: `${at}.name`, message: `must be unique, got ${show(name)} again` });
    }
    if (retired.includes(name)) {
      faults.push({ path: `${at}.name`, message: `must not be a retired one, got ${show(name)}: choose a new name` });
    }
    if (standIn === undefined || !Object.values(FeatureType).includes(type as FeatureType)) return;
    const fault = valueFault(type as FeatureType, standIn);
    if (fault) faults.push({ path: `${at}.default`, message: fault });
  });
  checkEntities(features, faults);
  return faults;
}

/** Throws one error that names every fault of the definition. */
export function assertValidFeatures(value: unknown): void {
  const faults = validateFeatures(value);
  if (faults.length === 0) return;
  const lines = faults.map(({ path, message }) => `  ${path}: ${message}`);
  throw new Error(
    [`the definition of features has ${faults.length} fault${faults.length === 1 ? '' : 's'}:`, ...lines].join('\n'),
  );
}

function checkEntities(features: readonly Record<string, unknown>[], faults: Fault[]): void {
  for (const entity of new Set(features.map((each) => each.entity))) {
    const count = features.filter((each) => each.entity === entity).length;
    if (count > MOST_FEATURES_OF_ENTITY) {
      faults.push({
        path: 'features',
        message: `must be at most ${MOST_FEATURES_OF_ENTITY} of one entity, got ${count} of ${show(entity)}`,
      });
    }
  }
}
