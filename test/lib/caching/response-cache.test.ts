import { describe, expect, it } from '@jest/globals';
import { Match } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import { ResponseCache } from '../../../lib';
import { givenVpc, newStack, templateOf } from '../synthesise';

describe('a response cache', () => {
  const template = templateOf((stack) => {
    const cache = new ResponseCache(stack, 'Cache', { vpc: givenVpc(stack) });
    cache.grantConnect(new iam.Role(stack, 'Client', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') }));
  });

  it('survives the loss of a zone, and speaks TLS only', () => {
    template.hasResourceProperties('AWS::ElastiCache::ReplicationGroup', {
      Engine: 'valkey',
      NumCacheClusters: 3,
      MultiAZEnabled: true,
      AutomaticFailoverEnabled: true,
      TransitEncryptionEnabled: true,
      TransitEncryptionMode: 'required',
      AtRestEncryptionEnabled: true,
      Port: 6380,
    });
  });

  it('keeps limits when memory is short', () => {
    template.hasResourceProperties('AWS::ElastiCache::ParameterGroup', {
      CacheParameterGroupFamily: 'valkey8',
      Properties: { 'maxmemory-policy': 'volatile-lru' },
    });
  });

  it('leaves the smallest nodes the memory that searching takes', () => {
    const properties = (nodeType: string) => {
      const small = templateOf((stack) => new ResponseCache(stack, 'Cache', { vpc: givenVpc(stack), nodeType }));
      const [group] = Object.values(small.findResources('AWS::ElastiCache::ParameterGroup'));
      return (group!.Properties as { Properties: Record<string, string> }).Properties['reserved-memory-percent'];
    };
    expect(['cache.t4g.micro', 'cache.t3.small', 'cache.t4g.medium', 'cache.m7g.large'].map(properties)).toEqual([
      ...['50', '30'],
      ...[undefined, undefined],
    ]);
  });

  it('is entered by IAM alone, as a user without administrative commands', () => {
    template.hasResourceProperties('AWS::ElastiCache::User', {
      AuthenticationMode: { Type: 'iam' },
      AccessString: Match.stringLikeRegexp('-@admin -@dangerous'),
    });
    const [user] = Object.values(template.findResources('AWS::ElastiCache::User'));
    const { UserId, UserName } = user!.Properties as Record<string, string>;
    expect(UserId).toBe(UserName);
    expect(UserId).toMatch(/^[a-z][a-z0-9-]{0,39}$/);
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: [
          Match.objectLike({ Action: 'elasticache:Connect', Resource: [Match.anyValue(), Match.anyValue()] }),
        ],
      },
    });
  });

  it('reports its metrics over all of its nodes', () => {
    const stack = newStack();
    const cache = new ResponseCache(stack, 'Cache', { vpc: givenVpc(stack), nodes: 2 });
    const { mathExpression } = cache.metricEngineCpu().toMetricConfig();
    expect(mathExpression!.expression).toBe('MAX([engineCPUUtilization1, engineCPUUtilization2])');
    expect(cache.metricEvictions().toMetricConfig().mathExpression!.expression).toMatch(/^SUM/);
  });

  it.each([
    [{ nodes: 1 }, 'nodes must be a whole number from 2 to 6, so that the loss of one is survived, got 1'],
    [{ engineVersion: '7.2' }, 'engineVersion must be a version of Valkey from 8.0, such as "8.2", got "7.2"'],
  ])('refuses %j', (props, message) => {
    const stack = newStack();
    expect(() => new ResponseCache(stack, 'Cache', { vpc: givenVpc(stack), ...props })).toThrow(message);
  });
});
