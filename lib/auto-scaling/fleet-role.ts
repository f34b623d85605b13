import { ArnFormat, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { acknowledge, wildcardFinding } from '../security/acknowledge';
import { grantPull } from './ecr-image';
import type { ModelServer } from './model-server';

/** What the instances of a fleet work with. */
interface RoleOptions {
  readonly server: ModelServer;
  /** Images of the containers that run on an instance. */
  readonly images: readonly string[];
  readonly logGroup: logs.ILogGroup;
  /** Value of the tag `Fleet` of the group. */
  readonly fleet: string;
  /** Namespace of the metrics. */
  readonly namespace: string;
}

/** The role of a fleet's instances: their own log, metrics, hooks, weights, token and images, and nothing else. */
export function fleetRole(scope: Construct, options: RoleOptions): iam.Role {
  const { server, images, logGroup, fleet, namespace } = options;
  const role = new iam.Role(scope, 'Role', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
  logGroup.grantWrite(role);
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringEquals: { 'cloudwatch:namespace': namespace } },
    }),
  );
  // By its tag: the group's own ARN would make a circle of group, launch template and role.
  const groups = Stack.of(scope).formatArn({
    service: 'autoscaling',
    resource: 'autoScalingGroup',
    resourceName: '*:autoScalingGroupName/*',
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['autoscaling:CompleteLifecycleAction'],
      resources: [groups],
      conditions: { StringEquals: { 'aws:ResourceTag/Fleet': fleet } },
    }),
  );
  acknowledge(role, {
    'AwsSolutions-IAM5[Resource::*]':
      'PutMetricData has no resource-level permissions; a condition holds it to the namespace of the GPU metrics.',
    'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:autoscaling:<AWS::Region>:<AWS::AccountId>:autoScalingGroup:*:autoScalingGroupName/*]':
      "An instance completes hooks of its own group: a condition holds the permission to groups with the fleet's tag.",
  });
  server.huggingFaceToken?.grantRead(role);
  if (server.weightsBucket) readWeights(role, server);
  grantPull(role, images);
  return role;
}

/** Reads below the prefix. `grantRead` of a bucket would open all actions that begin with Get or List. */
function readWeights(role: iam.Role, { weightsBucket: bucket, weightsPrefix: prefix = '' }: ModelServer): void {
  const objects = bucket!.arnForObjects(`${prefix}*`);
  role.addToPolicy(new iam.PolicyStatement({ actions: ['s3:GetObject'], resources: [objects] }));
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['s3:ListBucket'],
      resources: [bucket!.bucketArn],
      ...(prefix === '' ? {} : { conditions: { StringLike: { 's3:prefix': `${prefix}*` } } }),
    }),
  );
  bucket!.encryptionKey?.grantDecrypt(role);
  acknowledge(role, {
    [wildcardFinding(role, objects)]:
      'The weights are the objects below a prefix; which they are is not known when the policy is written.',
  });
}
