import { describe, expect, it } from '@jest/globals';
import { App, Duration, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { CapacityType, GpuFleet, type GpuFleetProps } from '../../../lib';
import { givenVpc, newStack } from '../synthesise';

const MODEL = { model: 'Qwen/Qwen3-8B' };
const RESERVED = ['arn:aws:resource-groups:us-east-1:111122223333:group/gpus'];

const ANY_GPU = { vCpuCount: { min: 4 }, memoryMiB: { min: 16_384 }, acceleratorCount: { min: 1 } };

describe('a GPU fleet', () => {
  it.each<[Partial<GpuFleetProps>, string]>([
    [{ minCapacity: -1 }, 'minCapacity must be a whole number of at least 0, got -1'],
    [{ minCapacity: 0, maxCapacity: 0 }, 'maxCapacity must be a whole number of at least 1 and minCapacity (0), got 0'],
    [{ minCapacity: 4, maxCapacity: 3 }, 'maxCapacity must be a whole number of at least 1 and minCapacity (4), got 3'],
    [{ targetGpuUtilization: 0 }, 'targetGpuUtilization must be from 1 to 100 per cent, got 0'],
    [
      { minCapacity: 4, capacityWithoutZone: 3 },
      'minCapacity of 4 over 3 zones leaves 2 when one is lost, and capacityWithoutZone asks for 3: set minCapacity to at least 5',
    ],
    [
      {
        ...{ instanceTypes: [new ec2.InstanceType('p5.48xlarge')], instanceWeights: { 'p5.48xlarge': 12 } },
        ...{ minCapacity: 12, capacityWithoutZone: 8 },
      },
      'minCapacity of 12 over 3 zones leaves 0 when one, at worst full of the heaviest type, is lost, and capacityWithoutZone asks for 8: set minCapacity to at least 20',
    ],
    [
      { instanceWeights: { 'g6.xlarge': 1, 'g5.xlarge': 3 }, minCapacity: 3, capacityWithoutZone: 2 },
      'minCapacity of 3 over 3 zones leaves 0 when one, at worst full of the heaviest type, is lost, and capacityWithoutZone asks for 2: set minCapacity to at least 5',
    ],
    [{ minZones: 4 }, 'the subnets of the fleet must be in at least minZones (4) zones, got 3'],
    [{ bootTime: Duration.hours(2) }, 'bootTime must be from 1 minute to 1 hour 55 minutes, got 2 hours'],
    [{ drainTime: Duration.seconds(5) }, 'drainTime must be from 10 seconds to 1 hour 55 minutes, got 5 seconds'],
    [{ volumeInitializationRate: 50 }, 'volumeInitializationRate must be a whole number from 100 to 300 MiB/s, got 50'],
    [
      { instanceWeights: { 'g6.xlarge': 1 } },
      'instanceWeights must weigh each of instanceTypes, and "g5.xlarge" has none',
    ],
    [
      { instanceWeights: { 'g6.xlarge': 1, 'g5.xlarge': 2, 'p5.48xlarge': 9 } },
      'instanceWeights["p5.48xlarge"] must be one of instanceTypes (g6.xlarge, g5.xlarge)',
    ],
    [
      { instanceRequirements: { vCpuCount: { min: 4 }, memoryMiB: { min: 16_384 } } },
      'instanceRequirements.acceleratorCount.min must be at least 1, or instances without a GPU would match',
    ],
    [
      {
        capacityTypes: [CapacityType.RESERVATION, CapacityType.ON_DEMAND],
        capacityReservationGroups: RESERVED,
        instanceRequirements: ANY_GPU,
      },
      'instanceRequirements does not go with what is reserved in capacityTypes',
    ],
    [
      { instanceRequirements: { ...ANY_GPU, acceleratorManufacturers: ['nvidia', 'amd'] } },
      'instanceRequirements.acceleratorManufacturers must be ["nvidia"], got ["nvidia","amd"]: image and model server run on GPUs of NVIDIA only; leave it out',
    ],
    [
      { instanceRequirements: { ...ANY_GPU, acceleratorTypes: ['inference'] } },
      'instanceRequirements.acceleratorTypes must be ["gpu"], got ["inference"]',
    ],
    [
      { machineImage: ec2.MachineImage.genericLinux({ 'us-east-1': 'ami-1' }), rootDeviceName: 'sda1' },
      'rootDeviceName must be the device of the image\'s root volume, such as "/dev/sda1", got "sda1"',
    ],
    [{ rootDeviceName: '/dev/sda1' }, 'rootDeviceName goes with machineImage'],
    [{ capacityTypes: [] }, 'capacityTypes must name each kind once, and at least one, got []'],
    [{ capacityTypes: [CapacityType.SPOT, CapacityType.ON_DEMAND] }, 'capacityTypes must have SPOT last'],
    [
      { capacityTypes: [CapacityType.RESERVATION, CapacityType.SPOT], capacityReservationGroups: RESERVED },
      'capacityTypes must have SPOT last and beside ON_DEMAND only',
    ],
    [{ capacityTypes: [CapacityType.SPOT] }, 'capacityTypes of SPOT alone needs onDemandBaseCapacity 0'],
    [
      { capacityTypes: [CapacityType.ON_DEMAND, CapacityType.RESERVATION], capacityReservationGroups: RESERVED },
      'capacityTypes must have ON_DEMAND after what is reserved',
    ],
    [{ capacityTypes: [CapacityType.CAPACITY_BLOCK] }, 'capacityReservationGroups is required'],
    [{ capacityReservationGroups: RESERVED }, 'capacityReservationGroups goes with RESERVATION'],
    [{ spotPercentage: 50 }, 'onDemandBaseCapacity and spotPercentage go with SPOT in capacityTypes'],
    [{ warmPool: {} }, 'warmPool needs exactly one of instanceTypes'],
    [
      {
        warmPool: {},
        instanceTypes: [new ec2.InstanceType('g6.xlarge')],
        capacityTypes: [CapacityType.ON_DEMAND, CapacityType.SPOT],
      },
      'warmPool needs capacityTypes of ON_DEMAND alone',
    ],
    [
      { concurrencyControl: { maxConcurrency: 0 } },
      'concurrencyControl.maxConcurrency must be a whole number from 1 to 1000, got 0',
    ],
    [{ port: 0 }, 'port must be a whole number from 1 to 65535, got 0'],
    [{ port: 65_535, concurrencyControl: {} }, 'port must be a whole number from 1 to 65534, got 65535'],
    [{ port: 3000, concurrencyControl: {} }, 'concurrencyControl.controlPort must differ from port (3000)'],
    [
      { concurrencyControl: { controlPort: 8001 } },
      'concurrencyControl.controlPort must differ from port (8000) and from the one after it',
    ],
    [
      { concurrencyControl: { controlPort: 70_000 } },
      'concurrencyControl.controlPort must be a whole number from 1 to 65535, got 70000',
    ],
    [
      { modelServer: { ...MODEL, servedModelNames: [] } },
      'modelServer.servedModelNames must list at least one name, got none',
    ],
    [{ modelServer: { ...MODEL, weightsPrefix: 'qwen/' } }, 'modelServer.weightsPrefix goes with weightsBucket'],
    [{ modelServer: {} as GpuFleetProps['modelServer'] }, 'modelServer.model is required: the model that'],
    [{ modelServer: undefined }, 'modelServer.model is required: the model'],
    [{ instanceTypes: [] }, 'instanceTypes must list at least one type'],
    [{ modelServer: { model: ' ' } }, 'modelServer.model and servedModelNames must not be empty'],
  ])('refuses %j', (props, message) => {
    const stack = newStack();
    expect(() => new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer: MODEL, ...props })).toThrow(message);
  });
});

it('lets the CDK look a network up before it counts the zones', () => {
  const stack = new Stack(new App(), 'Stack', { env: { account: '111122223333', region: 'eu-west-1' } });
  const vpc = ec2.Vpc.fromLookup(stack, 'Vpc', { vpcName: 'main' });
  expect(vpc.availabilityZones).toHaveLength(2);
  expect(() => new GpuFleet(stack, 'Fleet', { vpc, modelServer: MODEL })).not.toThrow();
});
