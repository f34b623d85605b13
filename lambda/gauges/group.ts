import { type AwsService, callQuery } from '../aws/service';

/** The instances of an Auto Scaling group. */
export interface GroupSize {
  readonly inService: number;
  /** Asked for and not in service: they boot, wait for their launch hook, or AWS has none to give at the moment. */
  readonly pending: number;
}

/**
 * Reads the size of one group. Asked for one group, the answer has one desired capacity, and a life-cycle state for
 * each instance and for nothing else: that much is read of it without an XML parser.
 *
 * @throws where there is no such group
 */
export async function groupSize(service: AwsService, group: string): Promise<GroupSize> {
  const answer = await callQuery(service, {
    Action: 'DescribeAutoScalingGroups',
    Version: '2011-01-01',
    'AutoScalingGroupNames.member.1': group,
  });
  const desired = /<DesiredCapacity>(\d+)<\/DesiredCapacity>/.exec(answer)?.[1];
  if (desired === undefined) throw new Error(`there is no Auto Scaling group ${group}`);
  const inService = answer.match(/<LifecycleState>InService<\/LifecycleState>/g)?.length ?? 0;
  return { inService, pending: Math.max(0, Number(desired) - inService) };
}
