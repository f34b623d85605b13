import { describe, expect, it } from '@jest/globals';
import { Duration } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import {
  FunctionEndpoint,
  type FunctionEndpointProps,
  HandlerFunction,
  InferenceApi,
  ModelKind,
  ResponseCache,
} from '../../../lib';
import { givenVpc, newStack, POLICY, templateOf } from '../synthesise';

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

describe('the silence of a function that computes', () => {
  const silent = (timeout: Duration | undefined, props: Partial<FunctionEndpointProps> = {}) =>
    templateOf((stack) => {
      const handler = timeout
        ? new HandlerFunction(stack, 'Service', { handler: 'feature-serve', description: 'Serves', timeout }).function
        : lambda.Function.fromFunctionAttributes(stack, 'Service', {
            functionArn: 'arn:aws:lambda:us-east-1:111122223333:function:given',
            sameEnvironment: true,
          });
      new FunctionEndpoint(stack, 'Endpoint', { vpc: givenVpc(stack), function: handler, ...props });
    });

  it.each<[string, Duration | undefined, Partial<FunctionEndpointProps>, string]>([
    ['longer than the function may run', Duration.minutes(5), {}, '310'],
    ['a minute where it is quick', Duration.seconds(10), {}, '60'],
    ['a minute where its limit is not known', undefined, {}, '60'],
    ['as long as it is told', Duration.minutes(5), { idleTimeout: Duration.minutes(2) }, '120'],
  ])('may last %s', (_, timeout, props, Value) => {
    silent(timeout, props).hasResourceProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', {
      LoadBalancerAttributes: Match.arrayWith([{ Key: 'idle_timeout.timeout_seconds', Value }]),
    });
  });

  it('is within what load balancers take', () => {
    expect(() => silent(undefined, { idleTimeout: Duration.minutes(90) })).toThrow(
      'idleTimeout must be from 1 to 4000 seconds, got 1 hour 30 minutes',
    );
  });
});
