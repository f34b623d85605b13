import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { InstanceUnits } from '../policy/instance-units';
import { ONE_UNIT } from '../policy/zone-loss';
import type { FleetSettings } from './fleet-settings';

/** A kind of capacity that a fleet is made of. */
export enum CapacityType {
  /** On-Demand Capacity Reservations: paid for, used or not. */
  RESERVATION = 'on-demand-capacity-reservation',
  /** Capacity Blocks for ML: reserved for days, ahead. */
  CAPACITY_BLOCK = 'capacity-block',
  /** Reservations of others in the organisation that may be taken back. */
  INTERRUPTIBLE_RESERVATION = 'interruptible-capacity-reservation',
  /** What a zone has at the time. */
  ON_DEMAND = 'on-demand',
  /** What a zone has to spare, with two minutes' notice when it is taken back. */
  SPOT = 'spot',
}

/** Instance types of a fleet for which none are given. */
export function defaultInstanceTypes(): ec2.InstanceType[] {
  return [
    ec2.InstanceType.of(ec2.InstanceClass.G6, ec2.InstanceSize.XLARGE),
    ec2.InstanceType.of(ec2.InstanceClass.G5, ec2.InstanceSize.XLARGE),
  ];
}

/** The kinds of capacity of a fleet, in order. */
export function capacityTypesOf(settings: FleetSettings): CapacityType[] {
  return settings.capacityTypes ?? [CapacityType.ON_DEMAND];
}

/** Whether Spot is among the kinds of capacity. */
export function usesSpot(settings: FleetSettings): boolean {
  return capacityTypesOf(settings).includes(CapacityType.SPOT);
}

/** Whether any of the kinds of capacity is reserved beforehand. */
export function usesReservations(settings: FleetSettings): boolean {
  return capacityTypesOf(settings).some((type) => type !== CapacityType.SPOT && type !== CapacityType.ON_DEMAND);
}

/** Whether capacity can be had beyond what is reserved: a new instance can start before an old one goes. */
export function canExceedReservations(settings: FleetSettings): boolean {
  return capacityTypesOf(settings).some((type) => type === CapacityType.SPOT || type === CapacityType.ON_DEMAND);
}

/** What the instances of a fleet count for, in units of its capacity. */
export function instanceUnits({ instanceWeights }: FleetSettings): InstanceUnits {
  if (!instanceWeights) return ONE_UNIT;
  const weights = Object.values(instanceWeights);
  return { smallest: Math.min(...weights), largest: Math.max(...weights), step: weights.reduce(commonDivisor) };
}

/** The greatest whole number that divides both. */
function commonDivisor(one: number, other: number): number {
  return other === 0 ? one : commonDivisor(other, one % other);
}

/** The types of the group and how it is made of kinds of capacity; the ladder of reservations is set on the L1. */
export function mixedInstances(
  settings: FleetSettings,
  launchTemplate: ec2.ILaunchTemplate,
  minCapacity: number,
): autoscaling.MixedInstancesPolicy {
  const { instanceRequirements: given, instanceWeights } = settings;
  // Without these, chips of AWS, AMD and others match, which the driver of the image does not know.
  const instanceRequirements = given && {
    ...given,
    acceleratorManufacturers: given.acceleratorManufacturers ?? ['nvidia'],
    acceleratorTypes: given.acceleratorTypes ?? ['gpu'],
  };
  const spot = usesSpot(settings);
  return {
    launchTemplate,
    launchTemplateOverrides: instanceRequirements
      ? [{ instanceRequirements }]
      : (settings.instanceTypes ?? defaultInstanceTypes()).map((instanceType) => ({
          instanceType,
          weightedCapacity: instanceWeights?.[instanceType.toString()],
        })),
    instancesDistribution: {
      onDemandBaseCapacity: spot ? (settings.onDemandBaseCapacity ?? minCapacity) : undefined,
      // Shares and a ladder exclude each other: Auto Scaling clears the one when it is given the other.
      onDemandPercentageAboveBaseCapacity: usesReservations(settings) ? undefined : onDemandPercentage(settings),
      onDemandAllocationStrategy: instanceRequirements
        ? autoscaling.OnDemandAllocationStrategy.LOWEST_PRICE
        : autoscaling.OnDemandAllocationStrategy.PRIORITIZED,
      spotAllocationStrategy: spot ? autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED : undefined,
    },
  };
}

function onDemandPercentage(settings: FleetSettings): number {
  return usesSpot(settings) ? 100 - (settings.spotPercentage ?? 100) : 100;
}

/**
 * Sets the ladder of reservations, which the L2 has no words for. What goes with it is told by "Use Distribution Segments" in
 * the user guide of Auto Scaling.
 */
export function climbReservations(group: autoscaling.CfnAutoScalingGroup, settings: FleetSettings): void {
  if (!usesReservations(settings)) return;
  group.addPropertyOverride('MixedInstancesPolicy.InstancesDistribution.DistributionSegments', [
    { TargetCapacityTypes: capacityTypesOf(settings) },
  ]);
  group.capacityReservationSpecification = {
    // The ladder says what is tried and whether on-demand follows; beside it no other preference is taken.
    capacityReservationPreference: 'default',
    capacityReservationTarget: { capacityReservationResourceGroupArns: settings.capacityReservationGroups },
  };
}
