import { show } from '../fields';
import { type Feature, FeatureCompatibility, type FeatureDefinition } from './definition';

/** One difference between two definitions, and whom it shuts out. */
export interface SchemaChange {
  /** Which feature, as `features["name"]`, or a field of it. */
  readonly path: string;
  /** What has changed. */
  readonly message: string;
  /** Whether readers by the new definition can no longer read what was written by the old one. */
  readonly breaksBackward: boolean;
  /** Whether readers by the old definition cannot read what is written by the new one. */
  readonly breaksForward: boolean;
  /** What to do in its place, where it breaks something. */
  readonly advice?: string;
}

const NEW_NAME = 'add a feature with a new name and retire this one';

/**
 * What has changed from a definition to the next, and whom that shuts out. Both must be valid.
 *
 * A type never changes: a column of a table that holds files of two types cannot be read.
 */
export function compareSchemas(before: FeatureDefinition, after: FeatureDefinition): SchemaChange[] {
  const changes: SchemaChange[] = [];
  if (before.name !== after.name) {
    changes.push({ ...both(true), path: 'name', message: changed(before.name, after.name), advice: 'keep the name' });
  }
  const old = new Map(before.features.map((feature) => [feature.name, feature]));
  const current = new Map(after.features.map((feature) => [feature.name, feature]));
  for (const feature of before.features) {
    const next = current.get(feature.name);
    changes.push(...(next ? changesOf(feature, next) : [removal(feature, after)]));
  }
  for (const feature of after.features) if (!old.has(feature.name)) changes.push(addition(feature));
  for (const name of before.retired ?? []) {
    if (!after.retired?.includes(name)) {
      const message = `"${name}" is retired no longer`;
      changes.push({ ...both(true), path: 'retired', message, advice: 'keep it in the list' });
    }
  }
  return changes;
}

/** Those of the changes that a kind of compatibility forbids. */
export function incompatible(changes: readonly SchemaChange[], compatibility: FeatureCompatibility): SchemaChange[] {
  const { BACKWARD, FORWARD, FULL } = FeatureCompatibility;
  const backward = compatibility === BACKWARD || compatibility === FULL;
  const forward = compatibility === FORWARD || compatibility === FULL;
  return changes.filter((change) => (backward && change.breaksBackward) || (forward && change.breaksForward));
}

/** Throws one error that names every change which a kind of compatibility forbids. */
export function assertCompatible(
  before: FeatureDefinition,
  after: FeatureDefinition,
  compatibility: FeatureCompatibility,
): void {
  const faults = incompatible(compareSchemas(before, after), compatibility);
  if (faults.length === 0) return;
  const lines = faults.map(({ path, message, advice }) => `  ${path}: ${message}; ${advice ?? 'leave it as it was'}`);
  throw new Error(
    [
      `the definition of features is not ${compatibility} compatible with the pinned one, by ${faults.length} ` +
        `change${faults.length === 1 ? '' : 's'}:`,
      ...lines,
    ].join('\n'),
  );
}

function changesOf(before: Feature, after: Feature): SchemaChange[] {
  const at = (field: keyof Feature) => `features["${before.name}"].${field}`;
  const changes: SchemaChange[] = [];
  for (const field of ['type', 'entity', 'sourceVersion'] as const) {
    if (before[field] === after[field]) continue;
    changes.push({
      ...both(true),
      path: at(field),
      message: changed(before[field], after[field]),
      advice: field === 'sourceVersion' ? `${NEW_NAME}: what is kept was computed another way` : NEW_NAME,
    });
  }
  if (before.ttlSeconds !== after.ttlSeconds) {
    changes.push({ ...both(false), path: at('ttlSeconds'), message: changed(before.ttlSeconds, after.ttlSeconds) });
  }
  if (before.default !== after.default) {
    changes.push({ ...both(false), path: at('default'), message: changed(before.default, after.default) });
  }
  return changes;
}

/** What was written before has no value of a new feature: its default stands in. */
function addition({ name, default: standIn }: Feature): SchemaChange {
  return {
    path: `features["${name}"]`,
    message: standIn === undefined ? 'is new and has no default' : 'is new',
    breaksBackward: standIn === undefined,
    breaksForward: false,
    ...(standIn === undefined && { advice: 'give it a default, for all that was written without it' }),
  };
}

/** Whoever still reads a feature that is gone has its default; its name must not come to mean something else. */
function removal({ name, default: standIn }: Feature, { retired }: FeatureDefinition): SchemaChange {
  const path = `features["${name}"]`;
  if (!retired?.includes(name)) {
    const advice = 'add its name to retired';
    return { ...both(true), path, message: 'is gone, and its name could come to mean something else', advice };
  }
  return {
    path,
    message: standIn === undefined ? 'is gone and has no default' : 'is gone',
    breaksBackward: false,
    breaksForward: standIn === undefined,
    ...(standIn === undefined && { advice: 'keep it until nobody reads it' }),
  };
}

function both(breaks: boolean): Pick<SchemaChange, 'breaksBackward' | 'breaksForward'> {
  return { breaksBackward: breaks, breaksForward: breaks };
}

function changed(before: unknown, after: unknown): string {
  return `has changed from ${show(before)} to ${show(after)}`;
}
