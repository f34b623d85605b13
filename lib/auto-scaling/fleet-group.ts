import { Duration, Tags } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { acknowledge, acknowledgeLint } from '../security/acknowledge';
import { canExceedReservations, climbReservations, mixedInstances, usesReservations, usesSpot } from './capacity';
import type { FleetSettings } from './fleet-settings';
import { HOOK_MARGIN_SECONDS } from './lifecycle-script';

/** What the group of a fleet is made with. */
interface GroupOptions {
  readonly vpc: ec2.IVpc;
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly launchTemplate: ec2.ILaunchTemplate;
  readonly minCapacity: number;
  readonly maxCapacity: number;
  readonly bootTime: Duration;
  readonly drainTime: Duration;
  readonly rollbackAlarms?: cloudwatch.IAlarm[];
  readonly notificationTopic: sns.ITopic;
  /** Name of the group, and value of its tag `Fleet`. */
  readonly fleet: string;
  /** Role of the instances. */
  readonly role: iam.Role;
}

/** The Auto Scaling group of a fleet. */
export function fleetGroup(
  scope: Construct,
  settings: FleetSettings,
  options: GroupOptions,
): autoscaling.AutoScalingGroup {
  const { launchTemplate, minCapacity, maxCapacity, rollbackAlarms: alarms } = options;
  const group = new autoscaling.AutoScalingGroup(scope, 'Group', {
    autoScalingGroupName: options.fleet,
    vpc: options.vpc,
    vpcSubnets: options.vpcSubnets,
    ...(settings.warmPool
      ? { launchTemplate }
      : { mixedInstancesPolicy: mixedInstances(settings, launchTemplate, minCapacity) }),
    minCapacity,
    maxCapacity,
    azCapacityDistributionStrategy: autoscaling.CapacityDistributionStrategy.BALANCED_BEST_EFFORT,
    // The launch hook holds an instance back until it answers, so that the balancer's check need not wait for the boot.
    healthChecks: autoscaling.HealthChecks.withAdditionalChecks({
      additionalTypes: [autoscaling.AdditionalHealthCheckType.ELB],
      gracePeriod: Duration.minutes(2),
    }),
    defaultInstanceWarmup: Duration.minutes(1),
    groupMetrics: [autoscaling.GroupMetrics.all()],
    capacityRebalance: usesSpot(settings) || undefined,
    updatePolicy: autoscaling.UpdatePolicy.instanceRefresh({
      strategy: autoscaling.InstanceRefreshStrategy.ROLLING,
      ...healthyPercentages(settings),
      skipMatching: true,
      ...(alarms && { alarms, bakeTime: Duration.minutes(5) }),
    }),
    notifications: [{ topic: options.notificationTopic, scalingEvents: autoscaling.ScalingEvents.ALL }],
  });
  if (settings.warmPool) {
    group.addWarmPool({
      minSize: settings.warmPool.minSize ?? 1,
      maxGroupPreparedCapacity: settings.warmPool.maxPreparedCapacity ?? maxCapacity,
      poolState: autoscaling.PoolState.STOPPED,
    });
  }
  Tags.of(group).add('Fleet', options.fleet);
  // The first instances must find what their role permits.
  group.node.addDependency(options.role);
  // And the way out, by which they boot; when all is deleted it stays until the last one has said that it leaves.
  group.node.addDependency(options.vpc.selectSubnets(options.vpcSubnets).internetConnectivityEstablished);
  setOnResource(group, settings, options);
  acknowledgeLint(group, {
    E3016: 'AutoScalingInstanceRefresh is newer than the linter: CloudFormation takes it as an update policy.',
    ...(usesReservations(settings) && {
      E3002: 'DistributionSegments is newer than the linter: it is the order in which reservations are tried.',
    }),
  });
  acknowledge(group, {
    'AwsSolutions-EC26':
      'The rule cannot follow the reference from a mixed-instances group to its launch template, where each volume is encrypted.',
  });
  return group;
}

/** What the L2 has no words for. Hooks that are resources of their own would come after the first instances. */
function setOnResource(
  { node }: autoscaling.AutoScalingGroup,
  settings: FleetSettings,
  { bootTime, drainTime }: GroupOptions,
): void {
  const group = node.defaultChild as autoscaling.CfnAutoScalingGroup;
  const { minHealthyPercentage, maxHealthyPercentage } = healthyPercentages(settings);
  group.instanceMaintenancePolicy = { minHealthyPercentage, maxHealthyPercentage };
  group.availabilityZoneImpairmentPolicy = {
    zonalShiftEnabled: settings.zonalShift ?? true,
    impairedZoneHealthCheckBehavior: 'IgnoreUnhealthy',
  };
  climbReservations(group, settings);
  const hook = (name: string, transition: autoscaling.LifecycleTransition, time: Duration, result: string) => ({
    lifecycleHookName: name,
    lifecycleTransition: transition,
    heartbeatTimeout: time.plus(Duration.seconds(HOOK_MARGIN_SECONDS)).toSeconds(),
    defaultResult: result,
  });
  const { INSTANCE_LAUNCHING, INSTANCE_TERMINATING } = autoscaling.LifecycleTransition;
  group.lifecycleHookSpecificationList = [
    hook('launch', INSTANCE_LAUNCHING, bootTime, autoscaling.DefaultResult.ABANDON),
    hook('drain', INSTANCE_TERMINATING, drainTime, autoscaling.DefaultResult.CONTINUE),
  ];
}

/** A new instance serves before an old one leaves, unless all that there is has been reserved. */
function healthyPercentages(settings: FleetSettings): { minHealthyPercentage: number; maxHealthyPercentage: number } {
  return canExceedReservations(settings)
    ? { minHealthyPercentage: 100, maxHealthyPercentage: 150 }
    : { minHealthyPercentage: 66, maxHealthyPercentage: 100 };
}
