import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { awsService } from '../../../lambda/aws/service';
import { groupSize } from '../../../lambda/gauges/group';

interface Instance {
  readonly state: string;
  readonly weight?: number;
}

/** What Auto Scaling answers, with the weights of the group's types where it has any. */
function answer(desired: number, instances: readonly Instance[]): string {
  const member = ({ state, weight }: Instance) =>
    `<member><LaunchTemplate><Version>1</Version></LaunchTemplate><LifecycleState>${state}</LifecycleState>
      ${weight === undefined ? '' : `<WeightedCapacity>${weight}</WeightedCapacity>`}</member>`;
  const override = '<member><InstanceType>g6e.xlarge</InstanceType><WeightedCapacity>3</WeightedCapacity></member>';
  return `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups><member>
    <Instances>${instances.map(member).join('')}</Instances><DesiredCapacity>${desired}</DesiredCapacity>
    <MixedInstancesPolicy><LaunchTemplate><Overrides>${override}</Overrides></LaunchTemplate></MixedInstancesPolicy>
    </member></AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`;
}

const of = (count: number, instance: Instance) => new Array<Instance>(count).fill(instance);

describe('the size of a group', () => {
  let server: Server;
  let said = '';
  const size = () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const environment = {
      ...{ AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret', AWS_ENDPOINT_URL: url },
    };
    return groupSize(awsService(environment, 'autoscaling', 1000), 'gpu-group');
  };
  beforeAll(async () => {
    server = createServer((_, response) => response.end(said));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('is its instances where they have no weights', async () => {
    said = answer(4, [...of(2, { state: 'InService' }), { state: 'Pending:Wait' }, { state: 'Terminating:Wait' }]);
    expect(await size()).toEqual({ inService: 2, pending: 2, excess: 0 });
  });

  it('is the weights of its instances where they have any: ten that are 24 lack none', async () => {
    const [small, large] = [
      { state: 'InService', weight: 1 },
      { state: 'InService', weight: 3 },
    ];
    said = answer(24, [...of(3, small), ...of(7, large), { state: 'Terminating:Wait', weight: 3 }]);
    expect(await size()).toEqual({ inService: 24, pending: 0, excess: 0 });
    said = answer(24, [...of(3, small), ...of(5, large), ...of(2, { state: 'Pending', weight: 3 })]);
    expect(await size()).toEqual({ inService: 18, pending: 6, excess: 0 });
  });

  it('tells what a large instance has beyond what was asked for', async () => {
    said = answer(4, of(2, { state: 'InService', weight: 3 }));
    expect(await size()).toEqual({ inService: 6, pending: 0, excess: 2 });
  });

  it('is not known of a group that is not there', async () => {
    said = '<DescribeAutoScalingGroupsResponse/>';
    await expect(size()).rejects.toThrow('there is no Auto Scaling group gpu-group');
  });
});
