import { describe, expect, test } from '@jest/globals';
import { balancer, type BalancerName } from '../../../bin/simulate/balancers';
import { seededRandom } from '../../../bin/simulate/random';

const targets = [
  { outstanding: 3, outstandingTokens: 300 },
  { outstanding: 1, outstandingTokens: 9000 },
  { outstanding: 2, outstandingTokens: 200 },
];

function choices(name: BalancerName, count: number, among = targets, maxConcurrency = 64): number[] {
  const choose = balancer<(typeof targets)[number]>({ name, maxConcurrency }, seededRandom(1, 1));
  return Array.from({ length: count }, () => {
    const chosen = choose(among);
    return chosen ? among.indexOf(chosen) : -1;
  });
}

describe('a balancer', () => {
  test('goes round in turns', () => {
    expect(choices('round-robin', 4)).toEqual([0, 1, 2, 0]);
  });

  test('takes the target with the fewest requests, of equals each in turn', () => {
    expect(choices('least-outstanding-requests', 3)).toEqual([1, 1, 1]);
    const idle = targets.map(() => ({ outstanding: 0, outstandingTokens: 0 }));
    expect(choices('least-outstanding-requests', 3, idle)).toEqual([0, 1, 2]);
  });

  test('takes the better one of two at random: never the worst of three, and not always the best', () => {
    const drawn = choices('power-of-two-choices', 600);
    expect(drawn).not.toContain(0);
    expect(drawn.filter((index) => index === 1).length / 600).toBeCloseTo(2 / 3, 1);
  });

  test('takes the target with the fewest tokens, whatever the number of requests', () => {
    expect(choices('token-weighted', 2)).toEqual([2, 2]);
  });

  test('refuses where each target has as many requests as it may', () => {
    expect(choices('bounded-concurrency', 1, targets, 2)).toEqual([1]);
    expect(choices('bounded-concurrency', 1, targets, 1)).toEqual([-1]);
  });

  test.each(['round-robin', 'least-outstanding-requests', 'power-of-two-choices', 'token-weighted'] as const)(
    '%s has nothing to choose where there is no target, and takes the only one',
    (name) => {
      expect(choices(name, 1, [])).toEqual([-1]);
      expect(choices(name, 2, targets.slice(0, 1))).toEqual([0, 0]);
    },
  );
});
