import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Overload } from '../../../lambda/auto-scaling/fleet-reading';
import { withReserve } from '../../../lambda/auto-scaling/reserve';

const work = fc.double({ min: 0.001, max: 5000, noNaN: true });
const boot = fc.double({ min: 0, max: 3600, noNaN: true });
const overload = fc.constantFrom<Overload>('queues', 'refuses', 'turnsAway');

describe('the reserve of a fleet', () => {
  it('is none where there is no work', () => {
    expect(withReserve(0, 360, 'queues')).toBe(0);
  });

  it('is the smaller a share, the larger the fleet', () => {
    const share = (instances: number) => withReserve(instances, 360, 'queues') / instances - 1;
    expect(share(3)).toBeGreaterThan(0.3);
    expect(share(30)).toBeLessThan(0.2);
    expect(share(300)).toBeLessThan(0.13);
  });

  it('is larger for slow boots and for fleets that queue, and never shrinks with the work', () => {
    fc.assert(
      fc.property(work, work, boot, overload, (some, more, seconds, how) => {
        const instances = withReserve(some, seconds, how);
        expect(instances).toBeGreaterThan(some);
        expect(withReserve(some + more, seconds, how)).toBeGreaterThanOrEqual(instances);
        expect(withReserve(some, seconds + 60, how)).toBeGreaterThanOrEqual(instances);
        expect(withReserve(some, seconds, 'queues')).toBeGreaterThanOrEqual(withReserve(some, seconds, 'refuses'));
      }),
    );
  });

  it('lets a full fleet that refuses ask for more: its work cannot show what it turned away', () => {
    for (let instances = 1; instances < 200; instances++) {
      expect(Math.ceil(withReserve(instances, 0, 'refuses'))).toBeGreaterThan(instances);
    }
  });

  it('bridges no boot where what is turned away says at once how much is missing', () => {
    expect(withReserve(10, 900, 'turnsAway')).toBe(withReserve(10, 0, 'turnsAway'));
    expect(withReserve(10, 900, 'turnsAway')).toBeLessThan(withReserve(10, 900, 'refuses'));
  });
});
