import { expect, it } from '@jest/globals';
import { sha256 } from '../../../lambda/data-pipeline/digest';
import { DigestFilter } from '../../../lambda/data-pipeline/versions/digest-filter';

it('has every digest that was added, and hardly one that was not', () => {
  const filter = new DigestFilter();
  const digests = Array.from({ length: 40_000 }, (_, i) => sha256(String(i)));
  const [added, others] = [digests.slice(0, 20_000), digests.slice(20_000)];
  for (const digest of added) filter.add(digest);
  expect(added.every((digest) => filter.has(digest))).toBe(true);
  expect(others.filter((digest) => filter.has(digest))).toEqual([]);
});
