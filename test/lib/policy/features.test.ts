import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Feature, FeatureCompatibility, type FeatureDefinition, FeatureType } from '../../../lib';
import { assertCompatible, compareSchemas, incompatible } from '../../../lib/policy/features/compatibility';
import { assertValidFeatures, validateFeatures } from '../../../lib/policy/features/validate';

const SPEND: Feature = {
  name: 'spend_30d',
  entity: 'customer',
  type: FeatureType.NUMBER,
  ttlSeconds: 3600,
  sourceVersion: 'orders-v3',
  default: 0,
};
const { default: _, ...WITHOUT_DEFAULT } = SPEND;
const define = (...features: Feature[]): FeatureDefinition => ({ name: 'shop', features });
const messages = (value: unknown) => validateFeatures(value).map(({ path, message }) => `${path}: ${message}`);

describe('a definition of features', () => {
  it('is valid with what it needs and no more', () => {
    expect(messages(define(SPEND, { ...WITHOUT_DEFAULT, name: 'visits' }))).toEqual([]);
  });

  it.each([
    [{ name: 'Spend' }, 'features[0].name: must be lower-case letters and digits'],
    [{ name: 'spend__status' }, 'features[0].name: must be lower-case letters and digits'],
    [{ name: 'event_ms' }, "features[0].name: must be none of the table's own columns (entity_key, event_ms"],
    [{ entity: 'the customer' }, 'features[0].entity: must be lower-case letters'],
    [{ type: 'vector' }, 'features[0].type: must be "boolean" or "integer" or "number" or "text", got "vector"'],
    [{ ttlSeconds: 0 }, 'features[0].ttlSeconds: must be a whole number from 1 to 315360000, got 0'],
    [{ sourceVersion: '' }, 'features[0].sourceVersion: must be 1 to 64 letters'],
    [{ default: 'none' }, 'features[0].default: must be a number, got "none"'],
    [{ default: 0.5, type: 'integer' }, 'features[0].default: must be a whole number, got 0.5'],
    [{ ttl: 5 }, 'features[0].ttl: is not a known field; write one of name, entity, type, ttlSeconds'],
  ])('names what is wrong with %j', (change, message) => {
    expect(messages({ name: 'shop', features: [{ ...SPEND, ...change }] })).toEqual([expect.stringContaining(message)]);
  });

  it('names every fault at once, in one error', () => {
    expect(() => {
      assertValidFeatures({ name: 'Shop', features: [SPEND, SPEND], retired: ['spend_30d'] });
    }).toThrow(
      /has 4 faults:\n {2}name: .*\n {2}features\[0\].name: must not be a retired one.*\n.*unique.*\n.*retired/,
    );
    expect(messages('x')).toEqual(['definition: must be an object, got "x"']);
  });

  it('bounds the features of one entity', () => {
    const many = Array.from({ length: 201 }, (_each, i) => ({ ...SPEND, name: `f${i}` }));
    expect(messages(define(...many))).toEqual(['features: must be at most 200 of one entity, got 201 of "customer"']);
    expect(messages(define(...many.slice(1), { ...SPEND, entity: 'shop' }))).toEqual([]);
  });
});

describe('a change of a definition', () => {
  const faults = (before: FeatureDefinition, after: FeatureDefinition, kind: FeatureCompatibility) =>
    incompatible(compareSchemas(before, after), kind).map(({ path, message }) => `${path} ${message}`);
  const { BACKWARD, FORWARD, FULL, NONE } = FeatureCompatibility;
  const retiring = (before: Feature, after: Feature): [FeatureDefinition, FeatureDefinition] => [
    define(SPEND, before),
    { ...define(after), retired: [before.name] },
  ];

  it.each<[string, [FeatureDefinition, FeatureDefinition], FeatureCompatibility[]]>([
    ['nothing', [define(SPEND), define(SPEND)], []],
    ['a new feature with a default', [define(SPEND), define(SPEND, { ...SPEND, name: 'new' })], []],
    [
      'a new feature without a default',
      [define(SPEND), define(SPEND, { ...WITHOUT_DEFAULT, name: 'new' })],
      [BACKWARD],
    ],
    ['a retired feature with a default', retiring({ ...SPEND, name: 'old' }, SPEND), []],
    ['a retired feature without a default', retiring({ ...WITHOUT_DEFAULT, name: 'old' }, SPEND), [FORWARD]],
    ['a feature that is just gone', [define(SPEND, { ...SPEND, name: 'old' }), define(SPEND)], [BACKWARD, FORWARD]],
    ['another type', [define(SPEND), define({ ...SPEND, type: FeatureType.INTEGER })], [BACKWARD, FORWARD]],
    ['another entity', [define(SPEND), define({ ...SPEND, entity: 'shop' })], [BACKWARD, FORWARD]],
    ['another source', [define(SPEND), define({ ...SPEND, sourceVersion: 'orders-v4' })], [BACKWARD, FORWARD]],
    ['another time to live', [define(SPEND), define({ ...SPEND, ttlSeconds: 60 })], []],
    ['another default', [define(SPEND), define({ ...SPEND, default: 1 })], []],
    ['another description', [define(SPEND), define({ ...SPEND, description: 'Spent' })], []],
    ['another name', [define(SPEND), { ...define(SPEND), name: 'store' }], [BACKWARD, FORWARD]],
    ['a retired name that is free again', [{ ...define(SPEND), retired: ['old'] }, define(SPEND)], [BACKWARD, FORWARD]],
  ])('%s', (_change, [before, after], broken) => {
    const found = [BACKWARD, FORWARD].filter((kind) => faults(before, after, kind).length > 0);
    expect(found).toEqual(broken);
    expect(faults(before, after, FULL).length > 0).toBe(broken.length > 0);
    expect(faults(before, after, NONE)).toEqual([]);
  });

  it('is refused in one error that says what to do instead', () => {
    const after = define({ ...SPEND, type: FeatureType.TEXT, default: 'x' }, { ...WITHOUT_DEFAULT, name: 'new' });
    expect(() => {
      assertCompatible(define(SPEND), after, BACKWARD);
    }).toThrow(
      [
        'the definition of features is not backward compatible with the pinned one, by 2 changes:',
        '  features["spend_30d"].type: has changed from "number" to "text"; add a feature with a new name and retire this one',
        '  features["new"]: is new and has no default; give it a default, for all that was written without it',
      ].join('\n'),
    );
  });

  it('forwards is the same change backwards as long as nothing is retired', () => {
    const feature = fc.record({
      ...{ name: fc.constantFrom('a', 'b', 'c'), entity: fc.constantFrom('x', 'y') },
      type: fc.constant(FeatureType.NUMBER),
      ttlSeconds: fc.constantFrom(1, 2),
      sourceVersion: fc.constantFrom('1', '2'),
    });
    const definition = fc.uniqueArray(feature, { selector: ({ name }) => name, minLength: 1 }).map((all) => ({
      ...define(...all),
      // Whatever either lacks is retired in it, so that only what is there decides.
      retired: ['a', 'b', 'c'].filter((name) => !all.some((each) => each.name === name)),
    }));
    const paths = (before: FeatureDefinition, after: FeatureDefinition, kind: FeatureCompatibility) =>
      incompatible(compareSchemas(before, after), kind)
        .map(({ path }) => path)
        .filter((path) => path !== 'retired')
        .sort();
    fc.assert(
      fc.property(definition, definition, (one, other) => {
        expect(paths(one, other, BACKWARD)).toEqual(paths(other, one, FORWARD));
      }),
    );
  });
});
