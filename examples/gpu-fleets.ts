/** Fleets for what GPUs can be had: spare capacity, reserved capacity, a bound on requests in flight, a warm pool. */
import { App, Duration, Stack } from 'aws-cdk-lib';
import { InstanceType } from 'aws-cdk-lib/aws-ec2';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Balancing, CapacityType, GpuFleet, ModelEndpoint, PlatformNetwork } from 'cdk-inference-platform';

const app = new App();
const stack = new Stack(app, 'Fleets');
const { vpc } = new PlatformNetwork(stack, 'Network');
const modelServer = { model: 'Qwen/Qwen3-8B' };

// On-demand whatever happens, so much that two shares are left without a zone, were it full of g6e; more on Spot. A g6e
// does three shares.
const spot = new GpuFleet(stack, 'Spot', {
  vpc,
  modelServer,
  instanceTypes: [new InstanceType('g6.xlarge'), new InstanceType('g6e.xlarge')],
  instanceWeights: { 'g6.xlarge': 1, 'g6e.xlarge': 3 },
  capacityTypes: [CapacityType.ON_DEMAND, CapacityType.SPOT],
  minCapacity: 5,
  maxCapacity: 24,
  capacityWithoutZone: 2,
});
spot.attachTo(new ModelEndpoint(stack, 'SpotEndpoint', { vpc, balancing: Balancing.WEIGHTED_RANDOM }).targetGroup);

// What is reserved first, in the zone where it is; on-demand where that is not enough. Weights from a bucket.
const reserved = new GpuFleet(stack, 'Reserved', {
  vpc,
  vpcSubnets: { subnets: vpc.privateSubnets.slice(0, 1) },
  minZones: 1,
  modelServer: {
    model: 'llama-3.1-70b',
    weightsBucket: Bucket.fromBucketName(stack, 'Weights', 'models-of-the-company'),
    weightsPrefix: 'llama-3.1-70b/v3/',
    args: ['--tensor-parallel-size', '8'],
  },
  instanceTypes: [new InstanceType('p5.48xlarge')],
  capacityTypes: [CapacityType.RESERVATION, CapacityType.CAPACITY_BLOCK, CapacityType.ON_DEMAND],
  capacityReservationGroups: ['arn:aws:resource-groups:us-east-1:111122223333:group/p5'],
  bootTime: Duration.minutes(40),
});
reserved.attachTo(new ModelEndpoint(stack, 'ReservedEndpoint', { vpc }).targetGroup);

// At most 64 requests in flight on an instance; any type with one GPU of 22 GiB or more.
const bounded = new GpuFleet(stack, 'Bounded', {
  vpc,
  modelServer,
  instanceRequirements: {
    vCpuCount: { min: 4 },
    memoryMiB: { min: 16_384 },
    acceleratorTypes: ['gpu'],
    acceleratorManufacturers: ['nvidia'],
    acceleratorCount: { min: 1, max: 1 },
    acceleratorTotalMemoryMiB: { min: 22_528 },
  },
  concurrencyControl: { maxConcurrency: 64 },
});
const { targetGroup } = new ModelEndpoint(stack, 'BoundedEndpoint', { vpc, balancing: Balancing.BOUNDED_CONCURRENCY });
bounded.attachTo(targetGroup);

// Two booted instances wait, stopped.
const warm = new GpuFleet(stack, 'Warm', {
  vpc,
  modelServer,
  instanceTypes: [new InstanceType('g6.xlarge')],
  warmPool: { minSize: 2 },
});
warm.attachTo(new ModelEndpoint(stack, 'WarmEndpoint', { vpc }).targetGroup);
