import { type AwsService, callQuery } from '../aws/service';

/** The size of an Auto Scaling group, in units of its capacity: those of instances with weights, else instances. */
export interface GroupSize {
  readonly inService: number;
  /** Asked for and not in service: they boot, wait for their launch hook, or AWS has none to give at the moment. */
  readonly pending: number;
  /** In service and not asked for: less than the largest instance has, or about to go. */
  readonly excess: number;
}

/**
 * Reads the size of one group. Asked for one group, the answer has one desired capacity, and a life-cycle state for
 * each instance and for nothing else. An instance has no list within it, and a weight where the group has weights: that
 * much is read without an XML parser.
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
  const inService = answer
    .split('<member>')
    .map((member) => member.split('</member>')[0]!)
    .filter((member) => member.includes('<LifecycleState>InService</LifecycleState>'))
    .reduce((sum, member) => sum + Number(/<WeightedCapacity>(\d+)</.exec(member)?.[1] ?? 1), 0);
  const missing = Number(desired) - inService;
  return { inService, pending: Math.max(0, missing), excess: Math.max(0, -missing) };
}
