import { readFileSync } from 'node:fs';
import path from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { InferencePolicy } from '../../lib';

const { context } = JSON.parse(readFileSync(path.join(__dirname, '../../cdk.json'), 'utf8')) as {
  context: Record<string, unknown>;
};

/** A stack with the feature flags of cdk.json, in an app of its own. */
export function newStack(): Stack {
  return new Stack(new App({ context }), 'Stack');
}

/** The template of what `build` puts into a stack. */
export function templateOf(build: (stack: Stack) => void): Template {
  const stack = newStack();
  build(stack);
  return Template.fromStack(stack);
}

/** A network that exists already, over three zones. */
export function givenVpc(stack: Stack): ec2.IVpc {
  const ids = (kind: string) => [1, 2, 3].map((index) => `${kind}-0123456789abcdef${index}`);
  return ec2.Vpc.fromVpcAttributes(stack, 'GivenVpc', {
    vpcId: 'vpc-0123456789abcdef0',
    availabilityZones: ['us-east-1a', 'us-east-1b', 'us-east-1c'],
    privateSubnetIds: ids('subnet'),
    privateSubnetRouteTableIds: ids('rtb'),
  });
}

/** A small valid policy: one fleet, with a server elsewhere behind it. */
export const POLICY: InferencePolicy = {
  plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
  tenants: [{ name: 'acme', plan: 'standard' }],
  backends: [{ name: 'gpu' }, { name: 'backup', url: 'https://models.example.com' }],
  models: [{ name: 'qwen3-8b', backends: ['gpu', 'backup'] }],
  cache: { ttlSeconds: 600 },
};

/** The fleet that the policy needs. */
export const FLEETS = { gpu: { modelServer: { model: 'Qwen/Qwen3-8B' } } };
