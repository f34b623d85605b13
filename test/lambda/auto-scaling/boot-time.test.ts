import { describe, expect, it } from '@jest/globals';
import { ASSUMED_BOOT_SECONDS, type BootMemory, learnBoot } from '../../../lambda/auto-scaling/boot-time';

/** Sizes, ten seconds apart: instances in service, and pending. */
function learned(...sizes: readonly (readonly [number, number])[]): number {
  let memory: BootMemory | undefined;
  sizes.forEach(([inService, pending], i) => {
    memory = learnBoot(memory, { inService, pending, at: i * 10_000 });
  });
  return memory!.seconds;
}

const repeat = (times: number, size: readonly [number, number]) =>
  new Array<readonly [number, number]>(times).fill(size);

describe('the boot time of a fleet', () => {
  it('is assumed until an instance was seen to boot', () => {
    expect(learned([2, 0], [2, 1], [2, 1])).toBe(ASSUMED_BOOT_SECONDS);
  });

  it('nears what boots take, each by half', () => {
    const boot = [...repeat(12, [2, 1]), [3, 0]] as const;
    expect(learned([2, 0], ...boot)).toBe((ASSUMED_BOOT_SECONDS + 120) / 2);
    const [again, there] = [repeat(12, [3, 1]), [4, 0] as const];
    expect(learned([2, 0], ...boot, ...again, there)).toBe((ASSUMED_BOOT_SECONDS + 3 * 120) / 4);
  });

  it('tells instances apart that were launched one after another', () => {
    // The first at 10 s, in service at 120 s; the second at 60 s, in service at 170 s: 110 s each.
    const sizes = [[2, 0], ...repeat(5, [2, 1]), ...repeat(6, [2, 2]), ...repeat(5, [3, 1]), [4, 0]] as const;
    expect(learned(...(sizes as readonly (readonly [number, number])[]))).toBe((ASSUMED_BOOT_SECONDS + 3 * 110) / 4);
  });

  it('sees one come while the next is launched', () => {
    expect(learned([2, 0], ...repeat(10, [2, 1]), [3, 1], ...repeat(9, [3, 1]), [4, 0])).toBe(
      (ASSUMED_BOOT_SECONDS + 3 * 100) / 4,
    );
  });

  it('says nothing of instances that were pending before, or were given up', () => {
    expect(learned([2, 1], [3, 0])).toBe(ASSUMED_BOOT_SECONDS);
    expect(learned([2, 0], [2, 1], [2, 0], [3, 0])).not.toBe(10);
  });

  it('counts the units of a large instance once, and learns nothing of those that were not missing', () => {
    const boot = 12 * 10;
    expect(learned([3, 0], ...repeat(12, [3, 3]), [6, 0])).toBe((ASSUMED_BOOT_SECONDS + 7 * boot) / 8);
    expect(learned([3, 0], ...repeat(12, [3, 1]), [6, 0])).toBe((ASSUMED_BOOT_SECONDS + boot) / 2);
  });

  it('takes a long wait for capacity that AWS does not have for no boot of hours', () => {
    expect(learned([2, 0], ...repeat(720, [2, 1]), [3, 0])).toBe((ASSUMED_BOOT_SECONDS + 900) / 2);
  });
});
