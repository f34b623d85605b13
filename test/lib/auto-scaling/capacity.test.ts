import { describe, it } from '@jest/globals';
import { Match } from 'aws-cdk-lib/assertions';
import { CapacityType, GpuFleet, type GpuFleetProps } from '../../../lib';
import { givenVpc, templateOf } from '../synthesise';

const GROUP = 'AWS::AutoScaling::AutoScalingGroup';
const RESERVED = ['arn:aws:resource-groups:us-east-1:111122223333:group/gpus'];

function templateWith(props: Partial<GpuFleetProps>) {
  const modelServer = { model: 'Qwen/Qwen3-8B' };
  return templateOf((stack) => new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer, ...props }));
}

describe('the capacity of a fleet', () => {
  it('keeps its minimum on-demand and the rest on Spot, which is replaced before it goes', () => {
    templateWith({ capacityTypes: [CapacityType.ON_DEMAND, CapacityType.SPOT], minCapacity: 3 }).hasResourceProperties(
      GROUP,
      {
        CapacityRebalance: true,
        MixedInstancesPolicy: {
          InstancesDistribution: {
            OnDemandBaseCapacity: 3,
            OnDemandPercentageAboveBaseCapacity: 0,
            SpotAllocationStrategy: 'price-capacity-optimized',
          },
        },
      },
    );
  });

  it('climbs from reservations over capacity blocks to on-demand', () => {
    const { RESERVATION, CAPACITY_BLOCK, ON_DEMAND } = CapacityType;
    templateWith({
      capacityTypes: [RESERVATION, CAPACITY_BLOCK, ON_DEMAND],
      capacityReservationGroups: RESERVED,
    }).hasResourceProperties(GROUP, {
      MixedInstancesPolicy: {
        InstancesDistribution: {
          OnDemandAllocationStrategy: 'prioritized',
          OnDemandPercentageAboveBaseCapacity: Match.absent(),
          DistributionSegments: [
            { TargetCapacityTypes: ['on-demand-capacity-reservation', 'capacity-block', 'on-demand'] },
          ],
        },
      },
      CapacityReservationSpecification: {
        CapacityReservationPreference: 'default',
        CapacityReservationTarget: { CapacityReservationResourceGroupArns: RESERVED },
      },
    });
  });

  it('replaces instances one by one where there is nothing beyond what is reserved', () => {
    templateWith({
      capacityTypes: [CapacityType.CAPACITY_BLOCK],
      capacityReservationGroups: RESERVED,
    }).hasResourceProperties(GROUP, {
      InstanceMaintenancePolicy: { MinHealthyPercentage: 66, MaxHealthyPercentage: 100 },
      MixedInstancesPolicy: {
        InstancesDistribution: { DistributionSegments: [{ TargetCapacityTypes: ['capacity-block'] }] },
      },
      CapacityReservationSpecification: { CapacityReservationPreference: 'default' },
    });
  });

  it('is on-demand alone where nothing else is asked for', () => {
    templateWith({}).hasResourceProperties(GROUP, {
      MixedInstancesPolicy: {
        InstancesDistribution: { OnDemandPercentageAboveBaseCapacity: 100, DistributionSegments: Match.absent() },
      },
      CapacityReservationSpecification: Match.absent(),
    });
  });
});
