import { describe, expect, it } from '@jest/globals';
import { askedOverLetIn, followFlow, type FlowMemory } from '../../../lambda/auto-scaling/turned-away';

const START = 1_760_000_000_000;

/** Follows sums that are read each ten seconds; how many times as much was asked for, after each. */
function follow(sums: readonly (readonly [letIn: number, turnedAway: number])[]): number[] {
  let memory: FlowMemory | undefined;
  return sums.map(([letIn, turnedAway], i) => {
    memory = followFlow(memory, { letIn, turnedAway, at: START + i * 10_000 });
    return askedOverLetIn(memory);
  });
}

/** Sums that grow by so much each time. */
const growing = (letIn: number, turnedAway: number, from = 0) =>
  Array.from({ length: 60 }, (_, i) => [from + i * letIn, from + i * turnedAway] as const);

describe('what a fleet turned away', () => {
  it('is nothing while nothing was read twice, and while nothing is turned away', () => {
    expect(follow([[500, 700]])).toEqual([1]);
    expect(follow(growing(100, 0)).every((asked) => asked === 1)).toBe(true);
  });

  it('adds its share of what was let in', () => {
    const asked = follow(growing(1000, 300, 5_000_000));
    expect(asked[0]).toBe(1);
    expect(asked.at(-1)).toBeCloseTo(1.3);
  });

  it('is forgotten within minutes once nobody is turned away', () => {
    const busy = growing(1000, 500);
    const [letIn, turnedAway] = busy.at(-1)!;
    const calm = growing(1000, 0).map(([more]) => [letIn + more, turnedAway] as const);
    const asked = follow([...busy, ...calm]);
    expect(asked[60 + 18]).toBeLessThan(1.05);
  });

  it('doubles the work at most: clients ask again, and are counted again', () => {
    expect(follow(growing(10, 5000)).at(-1)).toBe(2);
    expect(follow(growing(0, 5000)).at(-1)).toBe(1);
  });

  it('takes sums that fell for sums that began anew', () => {
    const asked = follow([...growing(1000, 100, 1e9), ...growing(1000, 100)]);
    expect(asked.slice(2).every((value) => value > 1 && value < 1.2)).toBe(true);
  });

  it('does not go by a reading that is as old as the last', () => {
    const memory = followFlow(undefined, { letIn: 1, turnedAway: 1, at: START });
    expect(followFlow(memory, { letIn: 900, turnedAway: 900, at: START })).toBe(memory);
  });
});
