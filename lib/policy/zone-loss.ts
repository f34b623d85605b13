import type { InstanceUnits } from './instance-units';

/** Of a fleet without weights: capacity counts instances. */
export const ONE_UNIT: InstanceUnits = { smallest: 1, largest: 1, step: 1 };

/**
 * The least capacity of which `needed` is left when any one zone is lost.
 *
 * Auto Scaling gives each zone as many instances, give or take one, and takes of each type what a zone has. So at worst the
 * lost zone held nothing but the largest type, and the others have the smallest: as long as `zones - 1` zones with one
 * instance fewer than the lost one carry less than `needed`, what it took must have been there besides.
 *
 * @returns Infinity where there is no other zone
 */
export function capacityForZoneLoss(needed: number, zones: number, { smallest, largest }: InstanceUnits): number {
  return needed === 0 ? 0 : needed + largest * Math.ceil(needed / ((zones - 1) * smallest));
}
