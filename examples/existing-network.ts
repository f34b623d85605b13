/** A platform inside what a company already has: its network, its key, its alarm topic. */
import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import { InferencePlatform } from 'cdk-inference-platform';

const app = new App();
const stack = new Stack(app, 'Inference');

const zones = ['us-east-1a', 'us-east-1b', 'us-east-1c'];
const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
  vpcId: 'vpc-0123456789abcdef0',
  availabilityZones: zones,
  privateSubnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1', 'subnet-0123456789abcdef2'],
  privateSubnetRouteTableIds: ['rtb-0123456789abcdef0', 'rtb-0123456789abcdef1', 'rtb-0123456789abcdef2'],
});
const encryptionKey = kms.Key.fromKeyArn(
  stack,
  'Key',
  'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
);
const alarmTopic = sns.Topic.fromTopicArn(stack, 'OnCall', 'arn:aws:sns:us-east-1:111122223333:on-call');

new InferencePlatform(stack, 'Platform', {
  policy: {
    plans: [{ name: 'internal', requestsPerMinute: 1200, tokensPerMinute: 500_000 }],
    tenants: [
      { name: 'search', plan: 'internal' },
      { name: 'support', plan: 'internal' },
    ],
    backends: [{ name: 'gpu' }],
    models: [{ name: 'qwen3-8b', backends: ['gpu'] }],
  },
  fleets: { gpu: { modelServer: { model: 'Qwen/Qwen3-8B' }, minCapacity: 3 } },
  vpc,
  encryptionKey,
  alarmTopic,
});
