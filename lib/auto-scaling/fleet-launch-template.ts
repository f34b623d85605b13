import { type Duration, Size, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { type BootScriptOptions, bootScript } from './boot-script';
import type { FleetSettings } from './fleet-settings';

/** AWS Deep Learning Base AMI: NVIDIA driver, Docker with the NVIDIA runtime, Amazon Linux 2023. */
const GPU_IMAGE = '/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id';

/** The root volume, by the device name of that image. gp3 takes a quarter of a MiB/s for each operation per second. */
const ROOT_VOLUME = { deviceName: '/dev/xvda', throughput: 500, iops: 4000 };

/** What a launch template takes from the fleet around it. */
interface LaunchTemplateOptions extends Omit<
  BootScriptOptions,
  'server' | 'localDisks' | 'region' | 'bootSeconds' | 'drainSeconds'
> {
  readonly role: iam.IRole;
  readonly securityGroup: ec2.ISecurityGroup;
  readonly encryptionKey?: kms.IKey;
  readonly bootTime: Duration;
  readonly drainTime: Duration;
}

/** What the instances of a fleet are launched from: IMDSv2 only, an encrypted volume, and the boot script. */
export function fleetLaunchTemplate(
  scope: Construct,
  settings: FleetSettings,
  { role, securityGroup, encryptionKey, bootTime, drainTime, ...boot }: LaunchTemplateOptions,
): ec2.LaunchTemplate {
  const { deviceName, throughput, iops } = ROOT_VOLUME;
  return new ec2.LaunchTemplate(scope, 'LaunchTemplate', {
    machineImage: settings.machineImage ?? ec2.MachineImage.resolveSsmParameterAtLaunch(GPU_IMAGE),
    // Elsewhere the types stand in the group.
    instanceType: settings.warmPool && settings.instanceTypes![0],
    role,
    securityGroup,
    requireImdsv2: true,
    httpPutResponseHopLimit: 1,
    // By its tags an instance knows its group.
    instanceMetadataTags: true,
    detailedMonitoring: true,
    blockDevices: [
      {
        deviceName: settings.rootDeviceName ?? deviceName,
        volume: ec2.BlockDeviceVolume.ebs(settings.volumeSize ?? 200, {
          volumeType: ec2.EbsDeviceVolumeType.GP3,
          throughput,
          iops,
          encrypted: true,
          kmsKey: encryptionKey,
          volumeInitializationRate: Size.mebibytes(settings.volumeInitializationRate ?? 300),
        }),
      },
    ],
    userData: ec2.UserData.custom(
      bootScript({
        ...boot,
        server: settings.modelServer,
        region: Stack.of(scope).region,
        bootSeconds: bootTime.toSeconds(),
        drainSeconds: drainTime.toSeconds(),
        // A stopped instance loses what its own disks hold.
        localDisks: settings.warmPool === undefined,
      }),
    ),
  });
}
