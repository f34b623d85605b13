import type { Duration } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { ModelServer } from './model-server';

/** What a fleet is, wherever it stands: the part of its properties that a platform cannot know. */
export interface FleetSettings {
  /** What runs on the instances. */
  readonly modelServer: ModelServer;

  /**
   * Instance types that can serve the model, in order of preference: the next one is taken where a zone has run out of
   * the one before.
   *
   * @default - g6.xlarge, g5.xlarge: one GPU with 24 GB each
   */
  readonly instanceTypes?: ec2.InstanceType[];

  /**
   * Image of the instances, with NVIDIA driver, Docker and the NVIDIA runtime.
   *
   * @default - the newest AWS Deep Learning Base AMI at each launch
   */
  readonly machineImage?: ec2.IMachineImage;

  /**
   * The least number of instances. 0 is for fleets that work off a queue, by which `FleetScaling` wakes them.
   *
   * @default 2 - the loss of one zone leaves one
   */
  readonly minCapacity?: number;

  /**
   * The greatest number of instances, at least 1 and `minCapacity`.
   *
   * @default - three times `minCapacity`, at least 1
   */
  readonly maxCapacity?: number;

  /**
   * Mean GPU utilisation that the fleet is held at, 1 to 100 per cent; with `FleetScaling`, only while its signal is
   * silent.
   *
   * @default 70 - new instances take minutes to boot: the rest is what bridges them
   */
  readonly targetGpuUtilization?: number;

  /**
   * How long an instance may take from its launch until the model answers: image, weights, compilation.
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
}
