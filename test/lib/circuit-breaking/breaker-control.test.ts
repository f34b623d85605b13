import { describe, expect, it } from '@jest/globals';
import type { Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import { BreakerControl, type BreakerControlProps, InferencePlatform, PolicyLayer, ResponseCache } from '../../../lib';
import { FLEETS, POLICY, givenVpc, newStack } from '../synthesise';

const CONTROL = { Description: 'Reads breakers for operators, and overrides them' };

function parts(stack: Stack) {
  const vpc = givenVpc(stack);
  const store = new ResponseCache(stack, 'Store', { vpc });
  return { vpc, store, policyLayer: new PolicyLayer(stack, 'Policy', { policy: POLICY }) };
}

function templateWith(props: (stack: Stack) => Partial<BreakerControlProps> = () => ({})): Template {
  const stack = newStack();
  new BreakerControl(stack, 'Control', { ...parts(stack), ...props(stack) });
  return Template.fromStack(stack);
}

describe('the control of breakers', () => {
  const template = templateWith();

  it('knows the policy and the store, and gives the store more time than a request has', () => {
    template.hasResourceProperties('AWS::Lambda::Function', {
      ...CONTROL,
      Layers: [{ Ref: Match.stringLikeRegexp('^Policy') }],
      Environment: {
        Variables: Match.objectLike({
          STORE_URL: Match.objectLike({ 'Fn::Join': ['', Match.arrayWith(['rediss://'])] }),
          STORE_TIMEOUT_MS: '2000',
          METRICS_NAMESPACE: 'InferencePlatform',
          SERVICE_NAME: Match.stringLikeRegexp('^Stack-[0-9a-f]{8}$'),
          EVENT_BUS: { 'Fn::Join': ['', Match.arrayWith([':event-bus/default'])] },
        }),
      },
      VpcConfig: Match.objectLike({ SecurityGroupIds: [Match.anyValue()] }),
    });
  });

  it('may connect to the store and put events on its bus, and reaches nothing else', () => {
    const arn = { 'Fn::GetAtt': [Match.stringLikeRegexp('^Bus'), 'Arn'] };
    const given = templateWith((stack) => ({ eventBus: new events.EventBus(stack, 'Bus'), serviceName: 'inference' }));
    for (const statement of [
      { Action: 'events:PutEvents', Effect: 'Allow', Resource: arn },
      { Action: 'elasticache:Connect', Effect: 'Allow' },
    ]) {
      given.hasResourceProperties('AWS::IAM::Policy', {
        PolicyDocument: { Statement: Match.arrayWith([Match.objectLike(statement)]) },
      });
    }
    given.hasResourceProperties('AWS::Lambda::Function', {
      ...CONTROL,
      Environment: { Variables: Match.objectLike({ EVENT_BUS: arn, SERVICE_NAME: 'inference' }) },
    });
    const [group] = Object.values(
      given.findResources('AWS::EC2::SecurityGroup', { Properties: { GroupDescription: CONTROL.Description } }),
    );
    expect(group!.Properties).toMatchObject({ SecurityGroupEgress: [{ FromPort: 443, CidrIp: '0.0.0.0/0' }] });
    given.resourceCountIs('AWS::EC2::SecurityGroupEgress', 1);
    given.hasResourceProperties('AWS::EC2::SecurityGroupEgress', { FromPort: 6380, Description: 'Store of breakers' });
  });

  it('has no address: it is invoked by those who are let', () => {
    template.resourceCountIs('AWS::Lambda::Url', 0);
    template.resourceCountIs('AWS::Lambda::Permission', 0);
    const stack = newStack();
    const control = new BreakerControl(stack, 'Control', parts(stack));
    control.grantInvoke(new iam.Role(stack, 'Operators', { assumedBy: new iam.AccountRootPrincipal() }));
    Template.fromStack(stack).hasResourceProperties('AWS::IAM::Policy', {
      Roles: [{ Ref: Match.stringLikeRegexp('^Operators') }],
      PolicyDocument: { Statement: [Match.objectLike({ Action: 'lambda:InvokeFunction', Effect: 'Allow' })] },
    });
    expect([control.metricInvocations().metricName, control.metricErrors().metricName]).toEqual([
      ...['Invocations', 'Errors'],
    ]);
  });

  it('stands twice in one stack', () => {
    const stack = newStack();
    const common = parts(stack);
    for (const id of ['One', 'Two']) new BreakerControl(stack, id, common);
    expect(
      Object.keys(Template.fromStack(stack).findResources('AWS::Lambda::Function', { Properties: CONTROL })),
    ).toHaveLength(2);
  });

  it('is part of a platform, under the name of its gateway and on its policy', () => {
    const stack = newStack();
    const { api } = new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS });
    const platform = Template.fromStack(stack);
    platform.resourceCountIs('AWS::Lambda::LayerVersion', 1);
    platform.hasResourceProperties('AWS::Lambda::Function', {
      ...CONTROL,
      Layers: [{ Ref: Match.stringLikeRegexp('PolicyLayer') }],
      Environment: { Variables: Match.objectLike({ SERVICE_NAME: api.inference.serviceName }) },
    });
  });
});
