import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Duration } from 'aws-cdk-lib';
import type { ModelServer } from '../auto-scaling/model-server';

/** The fleet of one backend. What is left out is filled in by the platform, or has the default of `GpuFleet`. */
export interface FleetSettings {
  /** What runs on the instances. The names it serves default to those of the policy's models that use the backend. */
  readonly modelServer: ModelServer;

  /**
   * Instance types that can serve the model, in order of preference.
   *
   * @default - g6.xlarge, g5.xlarge
   */
  readonly instanceTypes?: ec2.InstanceType[];

  /**
   * Image of the instances.
   *
   * @default - the newest AWS Deep Learning Base AMI at each launch
   */
  readonly machineImage?: ec2.IMachineImage;

  /**
   * The least number of instances, at least 1.
   *
   * @default 2
   */
  readonly minCapacity?: number;

  /**
   * The greatest number of instances.
   *
   * @default - three times `minCapacity`
   */
  readonly maxCapacity?: number;

  /**
   * Mean GPU utilisation that the fleet is held at, 1 to 100 per cent.
   *
   * @default 70
   */
  readonly targetGpuUtilization?: number;

  /**
   * How long an instance may take from its launch until the model answers.
   *
   * @default Duration.minutes(15)
   */
  readonly bootTime?: Duration;

  /**
   * Size of the root volume in GiB.
   *
   * @default 200
   */
  readonly volumeSize?: number;
}
