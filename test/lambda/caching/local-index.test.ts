import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LocalIndex } from '../../../lambda/caching/local-index';
import { similarityOf, type Vector, vectorFrom, bytesOf, vectorOf } from '../../../lambda/caching/vector';

const vectors = fc
  .array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 })
  .map(vectorOf)
  .filter((vector): vector is Vector => vector !== undefined);

describe('a vector', () => {
  it('has the length 1, whatever a model’s numbers, and is most similar to itself', () => {
    fc.assert(
      fc.property(vectors, vectors, (a, b) => {
        expect(similarityOf(a, a)).toBeCloseTo(1, 5);
        expect(similarityOf(a, b)!).toBeLessThanOrEqual(similarityOf(a, a)! + 1e-5);
        expect(vectorFrom(bytesOf(a))).toEqual(a);
      }),
    );
  });

  it('is not made of what has no direction or is no list of numbers', () => {
    for (const none of [[], [0, 0], ['1'], 'AAAA', null, [1, null], [Infinity, 1], [1e300, 1e300], {}]) {
      expect([none, vectorOf(none)]).toEqual([none, undefined]);
    }
    expect([vectorFrom(Buffer.alloc(0)), vectorFrom(Buffer.alloc(7))]).toEqual([undefined, undefined]);
    expect(similarityOf(vectorOf([1])!, vectorOf([1, 0])!)).toBeUndefined();
  });
});

describe('the index of this process', () => {
  it('finds what a search through everything finds, in its scope and from the least similarity on', async () => {
    const entries = fc.array(fc.record({ vector: vectors, scope: fc.constantFrom('a', 'b') }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(
        entries,
        vectors,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        async (all, vector, minimum) => {
          const index = new LocalIndex(() => 0);
          for (const [i, entry] of all.entries()) await index.add({ ...entry, entryKey: `key ${i}`, lifeMs: 1 });
          const found = await index.search({ scope: 'a', vector, minimumSimilarity: minimum });
          const similarities = all.map((entry) => (entry.scope === 'a' ? similarityOf(entry.vector, vector)! : -2));
          const best = Math.max(-2, ...similarities);
          if (best >= minimum)
            expect(found).toEqual({ entryKey: `key ${similarities.indexOf(best)}`, similarity: best });
          else if (best < minimum - 1e-6) expect(found).toBeUndefined();
        },
      ),
    );
  });

  const entry = (entryKey: string, lifeMs = 1000) => ({ scope: 's', vector: vectorOf([1, 0])!, entryKey, lifeMs });
  const query = { scope: 's', vector: vectorOf([1, 0])!, minimumSimilarity: 1 };

  it('forgets what is past its time, and takes an entry that is added anew in place of the old one', async () => {
    let now = 0;
    const index = new LocalIndex(() => now);
    await index.add(entry('a', 100));
    now = 99;
    expect(await index.search(query)).toEqual({ entryKey: 'a', similarity: 1 });
    await index.add({ ...entry('a', 100), vector: vectorOf([0, 1])! });
    expect(await index.search(query)).toBeUndefined();
    await index.add(entry('a', 100));
    now = 199;
    expect(await index.search(query)).toBeUndefined();
  });

  it('stays within its memory by letting go what was not used for the longest time', async () => {
    const index = new LocalIndex(() => 0, 3 * 8);
    const scoped = (scope: string) => ({ ...entry(scope), scope });
    for (const scope of ['a', 'b', 'c']) await index.add(scoped(scope));
    await index.search({ ...query, scope: 'a' });
    await index.add(scoped('d'));
    const left = [];
    for (const scope of ['a', 'b', 'c', 'd']) if (await index.search({ ...query, scope })) left.push(scope);
    expect(left).toEqual(['a', 'c', 'd']);
  });
});
