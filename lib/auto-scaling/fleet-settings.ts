import type { Duration } from 'aws-cdk-lib';
import type * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { CapacityType } from './capacity';
import type { ModelServer } from './model-server';

/** A bound on the requests in flight on an instance, kept by the agent of the load balancer's Target Optimizer. */
export interface ConcurrencyControl {
  /**
   * Requests that an instance may have in flight, 1 to 1000. The load balancer answers 503 where all have as many.
   *
   * @default 256 - what vLLM puts into one batch (`--max-num-seqs`), so that none waits inside an instance
   */
  readonly maxConcurrency?: number;

  /**
   * Port on which load balancer and agent speak about capacity. It is the `controlPort` of the endpoint.
   *
   * @default 3000
   */
  readonly controlPort?: number;

  /**
   * Image of the agent, of a public registry or of ECR. Pin the version that you tested.
   *
   * @default 'public.ecr.aws/aws-elb/target-optimizer/target-control-agent:latest'
   */
  readonly agentImage?: string;
}

/** Instances that have booted, and wait stopped for their turn. */
export interface WarmPoolSettings {
  /**
   * Instances that are kept ready at least.
   *
   * @default 1
   */
  readonly minSize?: number;

  /**
   * Instances in the group and in the pool together, at most.
   *
   * @default - `maxCapacity` of the fleet
   */
  readonly maxPreparedCapacity?: number;
}

/** What a fleet is, wherever it stands: the part of its properties that a platform cannot know. */
export interface FleetSettings {
  /** What runs on the instances. */
  readonly modelServer: ModelServer;

  /**
   * Instance types that can serve the model, in order of preference: the next one is taken where a zone has run out of
   * the one before. They must have GPUs of NVIDIA and, without a `machineImage`, processors of x86_64.
   *
   * @default - g6.xlarge, g5.xlarge: one GPU with 24 GB each
   */
  readonly instanceTypes?: ec2.InstanceType[];

  /**
   * How many times the tokens per second of the smallest type each of `instanceTypes` does, by its name: whole numbers,
   * 1 to 999. All that is said of capacity is in this unit then: `minCapacity`, `maxCapacity`, `capacityWithoutZone`,
   * `onDemandBaseCapacity`, and what `FleetScaling` rates and asks for. A group may have more than it wants, and than
   * `maxCapacity`, by less than the largest weight.
   *
   * @default - every type counts 1
   */
  readonly instanceWeights?: Record<string, number>;

  /**
   * Takes any type with these attributes, in place of `instanceTypes`. `acceleratorCount.min` must be at least 1;
   * `acceleratorManufacturers` is `['nvidia']` and `acceleratorTypes` is `['gpu']`, given or not. Not with what is reserved in
   * `capacityTypes`.
   *
   * @default - the listed types
   */
  readonly instanceRequirements?: autoscaling.CfnAutoScalingGroup.InstanceRequirementsProperty;

  /**
   * Kinds of capacity, in the order in which they are tried. Reservations and capacity blocks need
   * `capacityReservationGroups`. Spot comes last and goes with on-demand only: it carries what exceeds
   * `onDemandBaseCapacity`.
   *
   * @default - [CapacityType.ON_DEMAND]
   */
  readonly capacityTypes?: CapacityType[];

  /**
   * ARNs of the resource groups of the reservations and capacity blocks.
   *
   * @default - none
   */
  readonly capacityReservationGroups?: string[];

  /**
   * With Spot: capacity that is on-demand, whatever the load.
   *
   * @default - `minCapacity`: when Spot takes back all it gave, the minimum stands
   */
  readonly onDemandBaseCapacity?: number;

  /**
   * With Spot: its share of the capacity above `onDemandBaseCapacity`, 1 to 100 per cent.
   *
   * @default 100
   */
  readonly spotPercentage?: number;

  /**
   * Image of the instances: Amazon Linux 2023, or another Linux with systemd, with NVIDIA driver, Docker, the NVIDIA
   * runtime, AWS CLI and OpenSSL. Where there is no dnf, it must hold the CloudWatch agent, or there are no metrics.
   *
   * @default - the newest AWS Deep Learning Base AMI for x86_64 at each launch, which is Amazon Linux 2023
   */
  readonly machineImage?: ec2.IMachineImage;

  /**
   * Device name of the root volume in `machineImage`. With another one, the image's own volume stays as small as it is,
   * and unencrypted, beside the one that is made here.
   *
   * @default '/dev/xvda' - that of Amazon Linux; Ubuntu has '/dev/sda1'
   */
  readonly rootDeviceName?: string;

  /**
   * The least number of instances, or of units with `instanceWeights`. 0 is for fleets that work off a queue, by which
   * `FleetScaling` wakes them.
   *
   * @default 2 - the loss of one zone leaves one
   */
  readonly minCapacity?: number;

  /**
   * The greatest number of instances, or of units with `instanceWeights`; at least 1 and `minCapacity`.
   *
   * @default - three times `minCapacity`, at least 1
   */
  readonly maxCapacity?: number;

  /**
   * Zones that the fleet must at least span. Fewer than three where the GPUs that you need are in fewer.
   *
   * @default 3
   */
  readonly minZones?: number;

  /**
   * Capacity that must be left, at the minimum, once the fullest zone is lost. `minCapacity` is checked against it; with
   * `instanceWeights` at worst: the lost zone had the heaviest type only, and the others have the lightest.
   *
   * @default - not checked
   */
  readonly capacityWithoutZone?: number;

  /**
   * Whether a zonal shift of Application Recovery Controller may take instances out of an impaired zone. While it lasts,
   * instances of that zone are not replaced for being unhealthy, and new ones start in the others.
   *
   * @default true
   */
  readonly zonalShift?: boolean;

  /**
   * Keeps stopped instances ready that have booted before. Needs exactly one instance type and on-demand capacity.
   *
   * @default - no warm pool
   */
  readonly warmPool?: WarmPoolSettings;

  /**
   * Bounds the requests in flight on an instance. The endpoint must have `Balancing.BOUNDED_CONCURRENCY`.
   *
   * @default - not bounded; a platform sets it where it balances so
   */
  readonly concurrencyControl?: ConcurrencyControl;

  /**
   * Mean GPU utilisation that the fleet is held at, 1 to 100 per cent; with `FleetScaling`, only while its signal is
   * silent.
   *
   * @default 70 - new instances take minutes to boot: the rest is what bridges them
   */
  readonly targetGpuUtilization?: number;

  /**
   * How often Auto Scaling looks at GPU utilisation: 10, 30 or 60 seconds. Below 60 in the regions where target tracking
   * takes high-resolution metrics. With `FleetScaling`, whose own `period` counts, always 60.
   *
   * @default Duration.seconds(10)
   */
  readonly scalingPeriod?: Duration;

  /**
   * How long an instance may take from its launch until the model answers: image, weights, compilation; 1 to 115 minutes.
   * One that has not answered then is given up and replaced.
   *
   * @default Duration.minutes(15)
   */
  readonly bootTime?: Duration;

  /**
   * Size of the root volume in GiB: image (some 20 GB) and weights.
   *
   * @default 200
   */
  readonly volumeSize?: number;

  /**
   * Rate at which the root volume is filled from its snapshot, 100 to 300 MiB/s. Without one, blocks are fetched when they
   * are first read, which is slow at the worst time. It is paid for by the GiB of the snapshot.
   *
   * @default 300
   */
  readonly volumeInitializationRate?: number;
}
