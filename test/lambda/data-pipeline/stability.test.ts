import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { normal, seededRandom } from '../../../bin/simulate/random';
import { LEAST_VALUES, skewOf } from '../../../lambda/data-pipeline/features/skew';
import { type Sketch, SketchBuilder } from '../../../lambda/data-pipeline/monitors/sketch';
import { stabilityIndex, stabilityOf } from '../../../lambda/data-pipeline/monitors/stability';
import { FeatureType } from '../../../lib/policy/features/definition';

const sketchOf = (values: readonly (number | string)[]): Sketch => {
  const builder = new SketchBuilder();
  for (const value of values) builder.add(value);
  return builder.build();
};
const normals = (count: number, seed: number, shift = 0) => {
  const random = seededRandom(seed, 1);
  return Array.from({ length: count }, () => 100 + 10 * (normal(random) + shift));
};

describe('the population stability index', () => {
  it('is what its formula gives', () => {
    // Shares 0.5 and 0.5 against 0.25 and 0.75, of so many records that half a one more does not show.
    const expected = 0.25 * Math.log(2) - 0.25 * Math.log(0.5 / 0.75);
    expect(
      stabilityIndex([
        [5e6, 2.5e6],
        [5e6, 7.5e6],
      ]),
    ).toBeCloseTo(expected, 5);
    expect(stabilityIndex([])).toBe(0);
  });

  it('is never below 0, 0 for equal counts, the same either way, and finite for groups that one side lacks', () => {
    const counts = fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { maxLength: 12 });
    fc.assert(
      fc.property(counts, (groups) => {
        const index = stabilityIndex(groups);
        expect(Number.isFinite(index)).toBe(true);
        expect(index).toBeGreaterThanOrEqual(-1e-12);
        expect(stabilityIndex(groups.map(([p, q]) => [q, p]))).toBeCloseTo(index, 9);
        expect(stabilityIndex(groups.map(([p]) => [p, p]))).toBeCloseTo(0, 9);
      }),
    );
  });
});

describe('the stability of a distribution', () => {
  it.each([50, 500, 5000])('stays below what chance does where nothing has changed, with %d records', (count) => {
    for (let seed = 1; seed <= 200; seed++) {
      const stability = stabilityOf(sketchOf(normals(count, seed)), sketchOf(normals(count, seed + 1000)))!;
      expect([seed, stability.index < stability.byChance]).toEqual([seed, true]);
    }
  });

  it('shows a shift of half a deviation beyond chance', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const stability = stabilityOf(sketchOf(normals(2000, seed)), sketchOf(normals(2000, seed + 1000, 0.5)))!;
      expect(stability.index).toBeGreaterThan(stability.byChance);
    }
  });

  it('counts texts that the pinned one lacks, and compares nothing with nothing, or texts with numbers', () => {
    const pinned = sketchOf(Array.from({ length: 400 }, (_, i) => ['a', 'b'][i % 2]!));
    const current = sketchOf(Array.from({ length: 400 }, (_, i) => ['a', 'b', 'c', 'd'][i % 4]!));
    const { index, byChance } = stabilityOf(pinned, current)!;
    expect(index).toBeGreaterThan(byChance);
    expect(stabilityOf(pinned, sketchOf([]))).toBeUndefined();
    expect(stabilityOf(pinned, sketchOf([1, 2]))).toBeUndefined();
  });
});

describe('the skew of a feature', () => {
  const number = { type: FeatureType.NUMBER };
  const text = { type: FeatureType.TEXT };

  it('is small for values of one distribution, and large for those of another', () => {
    expect(skewOf(number, normals(2000, 1), normals(2000, 2))!.index).toBeLessThan(0.05);
    expect(skewOf(number, normals(2000, 1, 1), normals(2000, 2))!.index).toBeGreaterThan(0.25);
  });

  it('sees a value that became frequent, such as a zero that stands for nothing', () => {
    const trained = Array.from({ length: 1000 }, (_, i) => (i % 2 ? 0 : i));
    const served = Array.from({ length: 1000 }, (_, i) => (i % 10 ? 0 : i));
    expect(skewOf(number, trained, trained)!.index).toBeCloseTo(0, 9);
    expect(skewOf(number, served, trained)!.index).toBeGreaterThan(0.25);
  });

  it('sees a category that training had not', () => {
    const of = (names: readonly string[]) => Array.from({ length: 600 }, (_, i) => names[i % names.length]!);
    expect(skewOf(text, of(['a', 'b']), of(['a', 'b']))!.index).toBeCloseTo(0, 9);
    expect(skewOf(text, of(['a', 'b', 'new']), of(['a', 'b']))!.index).toBeGreaterThan(0.25);
  });

  it('says nothing where either side has too few values', () => {
    const few = normals(LEAST_VALUES - 1, 1);
    expect(skewOf(number, few, normals(LEAST_VALUES, 2))).toBeUndefined();
    expect(skewOf(number, normals(LEAST_VALUES, 2), few)).toBeUndefined();
  });
});
