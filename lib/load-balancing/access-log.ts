import { Stack } from 'aws-cdk-lib';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as s3 from 'aws-cdk-lib/aws-s3';

/**
 * Has a load balancer write its access log below a prefix of its own. `logAccessLogs` of the load balancer wants a
 * concrete region; the attributes and the service principal need none.
 */
export function logAccess(loadBalancer: elbv2.ApplicationLoadBalancer, bucket: s3.IBucket): void {
  const prefix = loadBalancer.node.scope!.node.addr.slice(-8);
  const permission = bucket.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [new iam.ServicePrincipal('logdelivery.elasticloadbalancing.amazonaws.com')],
      actions: ['s3:PutObject'],
      resources: [bucket.arnForObjects(`${prefix}/AWSLogs/${Stack.of(loadBalancer).account}/*`)],
    }),
  );
  loadBalancer.setAttribute('access_logs.s3.enabled', 'true');
  loadBalancer.setAttribute('access_logs.s3.bucket', bucket.bucketName);
  loadBalancer.setAttribute('access_logs.s3.prefix', prefix);
  if (permission.policyDependable) loadBalancer.node.addDependency(permission.policyDependable);
}
