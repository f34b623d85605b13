import { describe, expect, it } from '@jest/globals';
import { Template } from 'aws-cdk-lib/assertions';
import { FunctionEndpoint, HandlerFunction, InferenceApi, ModelKind, ResponseCache } from '../../../lib';
import { givenVpc, newStack, POLICY } from '../synthesise';

describe('an address for a function', () => {
  const stack = newStack();
  const vpc = givenVpc(stack);
  const handler = new HandlerFunction(stack, 'Service', { handler: 'feature-serve', description: 'Serves' });
  const endpoint = new FunctionEndpoint(stack, 'Endpoint', { vpc, function: handler.function });
  const store = new ResponseCache(stack, 'Store', { vpc });
  const policy = {
    ...POLICY,
    backends: [{ name: 'features' }],
    models: [{ name: 'features', kind: ModelKind.SERVICE, backends: ['features'] }],
  };
  new InferenceApi(stack, 'Api', { policy, vpc, store, endpoints: { features: endpoint } });
  const template = Template.fromStack(stack);

  it('is inside the network, with TLS and an access log, and refuses to be deleted', () => {
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', { Scheme: 'internal' });
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::Listener', { Port: 443, Protocol: 'HTTPS' });
    const [balancer] = Object.values(template.findResources('AWS::ElasticLoadBalancingV2::LoadBalancer'));
    const { LoadBalancerAttributes } = balancer!.Properties as {
      LoadBalancerAttributes: { Key: string; Value: unknown }[];
    };
    const attributes = Object.fromEntries(LoadBalancerAttributes.map(({ Key, Value }) => [Key, Value]));
    expect(attributes).toMatchObject({
      'access_logs.s3.enabled': 'true',
      'deletion_protection.enabled': 'true',
      'routing.http.drop_invalid_header_fields.enabled': 'true',
    });
  });

  it('invokes that function and no other', () => {
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::TargetGroup', { TargetType: 'lambda' });
    const permissions = Object.values(template.findResources('AWS::Lambda::Permission')).filter(
      ({ Properties }) => (Properties as { Principal: string }).Principal === 'elasticloadbalancing.amazonaws.com',
    );
    expect(permissions.map(({ Properties }) => (Properties as { FunctionName: unknown }).FunctionName)).toEqual([
      stack.resolve(handler.function.functionArn),
    ]);
  });

  it('is a backend of the gateway, which trusts its certificate and may reach it', () => {
    expect(endpoint.url).toMatch(/^https:/);
    expect(endpoint.certificate).toBeDefined();
    template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
      FromPort: 443,
      Description: 'Backend features',
    });
  });

  it('counts calls and failures', () => {
    expect(endpoint.metricRequests().metricName).toBe('RequestCount');
    expect(endpoint.metricServerErrors().metricName).toBe('HTTPCode_Target_5XX_Count');
  });
});
