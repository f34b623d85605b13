import { afterEach, describe, expect, it } from '@jest/globals';
import type { HttpListener } from '../../../bin/start/http-listener';
import { functionBalancersOf, serveBalancer } from '../../../bin/start/services/function-balancer';
import type { Template } from '../../../bin/start/template';

const TEMPLATE: Template = {
  Resources: {
    Answer: { Type: 'AWS::Lambda::Function', Properties: {} },
    Balancer: { Type: 'AWS::ElasticLoadBalancingV2::LoadBalancer' },
    Target: {
      Type: 'AWS::ElasticLoadBalancingV2::TargetGroup',
      Properties: { TargetType: 'lambda', Targets: [{ Id: { 'Fn::GetAtt': ['Answer', 'Arn'] } }] },
    },
    Listener: {
      Type: 'AWS::ElasticLoadBalancingV2::Listener',
      Properties: {
        LoadBalancerArn: { Ref: 'Balancer' },
        DefaultActions: [{ Type: 'forward', TargetGroupArn: { Ref: 'Target' } }],
      },
    },
    Fleet: { Type: 'AWS::ElasticLoadBalancingV2::TargetGroup', Properties: { TargetType: 'instance' } },
    FleetListener: {
      Type: 'AWS::ElasticLoadBalancingV2::Listener',
      Properties: { LoadBalancerArn: { Ref: 'Other' }, DefaultActions: [{ TargetGroupArn: { Ref: 'Fleet' } }] },
    },
  },
};

const notAsked = () => {
  throw new Error('nobody asks for a stream');
};

describe('the load balancer of a function', () => {
  let balancer: HttpListener;
  const serve = async (invoke: ((event: unknown) => Promise<unknown>) | undefined) => {
    balancer = await serveBalancer('Balancer', () => (invoke ? { invoke, invokeStreaming: notAsked } : undefined));
    return balancer.url;
  };
  afterEach(() => balancer?.close());

  it('is found in the template behind its listener, and those of fleets are not', () => {
    expect(functionBalancersOf(TEMPLATE)).toEqual([{ id: 'Balancer', functionId: 'Answer' }]);
  });

  it('hands a call to the function as AWS does, and its answer back', async () => {
    const url = await serve((event) =>
      Promise.resolve({
        statusCode: 201,
        headers: { 'x-own': 'yes' },
        body: JSON.stringify(event),
        isBase64Encoded: false,
      }),
    );
    const answer = await fetch(`${url}/path?a=b`, { method: 'POST', body: '{"ü":1}' });
    expect([answer.status, answer.headers.get('x-own')]).toEqual([201, 'yes']);
    expect(await answer.json()).toMatchObject({
      requestContext: { elb: { targetGroupArn: 'Balancer' } },
      httpMethod: 'POST',
      path: '/path',
      queryStringParameters: { a: 'b' },
      body: '{"ü":1}',
      isBase64Encoded: false,
    });
  });

  it('answers 502 where the function fails or is not there, and 413 to more than a function may be handed', async () => {
    const failing = await serve(() => Promise.reject(new Error('failed')));
    expect((await fetch(failing, { method: 'POST', body: '{}' })).status).toBe(502);
    await balancer.close();
    const missing = await serve(undefined);
    expect((await fetch(missing, { method: 'POST', body: '{}' })).status).toBe(502);
    expect((await fetch(missing, { method: 'POST', body: 'x'.repeat(1024 * 1024 + 1) })).status).toBe(413);
  });
});
