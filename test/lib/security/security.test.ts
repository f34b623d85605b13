import { describe, expect, it } from '@jest/globals';
import { RemovalPolicy } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { ApiFirewall, LogBucket, PlatformKey, PlatformNetwork, TenantDirectory } from '../../../lib';
import { newStack, templateOf } from '../synthesise';

describe('a platform key', () => {
  const template = templateOf((stack) => new PlatformKey(stack, 'Key'));

  it('rotates, and is kept when the stack goes', () => {
    template.hasResource('AWS::KMS::Key', {
      DeletionPolicy: 'Retain',
      Properties: { EnableKeyRotation: true },
    });
  });

  it('lets services use it for this account only', () => {
    const [key] = Object.values(template.findResources('AWS::KMS::Key'));
    const { Statement } = (key!.Properties as { KeyPolicy: { Statement: { Principal: object; Condition?: object }[] } })
      .KeyPolicy;
    const open = Statement.filter(({ Principal }) => JSON.stringify(Principal) === '{"AWS":"*"}');
    expect(open).toHaveLength(2);
    for (const { Condition } of open) {
      expect(Condition).toMatchObject({ StringEquals: { 'kms:CallerAccount': { Ref: 'AWS::AccountId' } } });
    }
  });
});

describe('a platform network', () => {
  it('takes its zones from the region that it is deployed to, three by default', () => {
    const template = templateOf((stack) => new PlatformNetwork(stack, 'Network'));
    for (const zone of [0, 1, 2]) {
      template.hasResourceProperties('AWS::EC2::Subnet', {
        AvailabilityZone: { 'Fn::Select': [zone, { 'Fn::GetAZs': '' }] },
      });
    }
    template.hasResourceProperties('AWS::EC2::FlowLog', { TrafficType: 'ALL' });
    template.resourcePropertiesCountIs('AWS::EC2::VPCEndpoint', { VpcEndpointType: 'Gateway' }, 2);
  });

  it.each([
    [{ zones: 1 }, 'zones must be a whole number from 2 to 6, so that the loss of one is survived, got 1'],
    [{ zones: 2.5 }, 'zones must be a whole number from 2 to 6, so that the loss of one is survived, got 2.5'],
    [{ zones: 3, natGateways: 4 }, 'natGateways must be a whole number from 1 to zones (3), got 4'],
  ])('refuses %j', (props, message) => {
    expect(() => new PlatformNetwork(newStack(), 'Network', props)).toThrow(message);
  });
});

describe('an API firewall', () => {
  const template = templateOf((stack) => new ApiFirewall(stack, 'Firewall', { requestsPerAddress: 500 }));

  it('lets prompts through that a rule for web forms would take for an attack', () => {
    template.hasResourceProperties('AWS::WAFv2::WebACL', {
      Rules: Match.arrayWith([
        Match.objectLike({
          Name: 'AWSManagedRulesCommonRuleSet',
          Statement: {
            ManagedRuleGroupStatement: {
              RuleActionOverrides: Match.arrayWith([{ Name: 'SizeRestrictions_BODY', ActionToUse: { Count: {} } }]),
            },
          },
        }),
      ]),
    });
  });

  it('lets uploads through on every path: no rule that reads a body blocks', () => {
    const counted = (name: string) => {
      const [{ Properties }] = Object.values(template.findResources('AWS::WAFv2::WebACL')) as [{ Properties: unknown }];
      const { Rules } = Properties as { Rules: { Name: string; Statement: { ManagedRuleGroupStatement?: object } }[] };
      const { RuleActionOverrides = [] } = Rules.find(({ Name }) => Name === name)!.Statement
        .ManagedRuleGroupStatement as { RuleActionOverrides?: { Name: string; ActionToUse: object }[] };
      return RuleActionOverrides.filter(({ ActionToUse }) => 'Count' in ActionToUse).map(({ Name }) => Name);
    };
    // As AWS lists the rules of these groups that inspect a body.
    expect(counted('AWSManagedRulesCommonRuleSet').sort()).toEqual([
      ...['CrossSiteScripting_BODY', 'EC2MetaDataSSRF_BODY', 'GenericLFI_BODY', 'GenericRFI_BODY'],
      'SizeRestrictions_BODY',
    ]);
    expect(counted('AWSManagedRulesKnownBadInputsRuleSet').sort()).toEqual([
      ...['JavaDeserializationRCE_BODY', 'Log4JRCE_BODY', 'ReactJSRCE_BODY'],
    ]);
  });

  it('answers a flood with an OpenAI error object', () => {
    template.hasResourceProperties('AWS::WAFv2::WebACL', {
      Rules: Match.arrayWith([
        Match.objectLike({ Statement: { RateBasedStatement: { AggregateKeyType: 'IP', Limit: 500 } } }),
      ]),
      CustomResponseBodies: { TooManyRequests: { Content: Match.serializedJson({ error: Match.anyValue() }) } },
    });
  });

  it('logs no key', () => {
    template.hasResourceProperties('AWS::WAFv2::LoggingConfiguration', {
      RedactedFields: [{ SingleHeader: { Name: 'authorization' } }],
    });
  });

  it('refuses a limit that the service does not take', () => {
    expect(() => new ApiFirewall(newStack(), 'Firewall', { requestsPerAddress: 5 })).toThrow(
      'requestsPerAddress must be a whole number from 10 to 2000000000, got 5',
    );
  });
});

describe('a log bucket', () => {
  it('takes the access logs of another bucket, from S3 alone and below a prefix', () => {
    const template = templateOf((stack) =>
      new LogBucket(stack, 'Logs').logAccessTo(new Bucket(stack, 'Files'), 'files/'),
    );
    template.hasResourceProperties('AWS::S3::Bucket', {
      LoggingConfiguration: {
        DestinationBucketName: { Ref: Match.stringLikeRegexp('^Logs') },
        LogFilePrefix: 'files/',
      },
    });
    template.hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          {
            ...{ Effect: 'Allow', Action: 's3:PutObject', Principal: { Service: 'logging.s3.amazonaws.com' } },
            Resource: { 'Fn::Join': ['', [Match.anyValue(), '/files/*']] },
            Condition: {
              ArnLike: { 'aws:SourceArn': { 'Fn::GetAtt': [Match.stringLikeRegexp('^Files'), 'Arn'] } },
              StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } },
            },
          },
        ]),
      },
    });
  });

  it('is private, TLS only, and expires what it holds', () => {
    const template = templateOf((stack) => new LogBucket(stack, 'Logs'));
    template.hasResourceProperties('AWS::S3::Bucket', {
      PublicAccessBlockConfiguration: { BlockPublicAcls: true, RestrictPublicBuckets: true },
      LifecycleConfiguration: { Rules: [Match.objectLike({ ExpirationInDays: 90 })] },
    });
    template.hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        ]),
      },
    });
  });
});

describe('a tenant directory', () => {
  it('finds by the hash of a key, and goes with the stack unless told otherwise', () => {
    const template = templateOf((stack) => {
      new TenantDirectory(stack, 'Gone');
      new TenantDirectory(stack, 'Kept', { removalPolicy: RemovalPolicy.RETAIN });
    });
    template.allResourcesProperties('AWS::DynamoDB::Table', {
      KeySchema: [{ AttributeName: 'keyHash', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    });
    template.hasResource('AWS::DynamoDB::Table', { DeletionPolicy: 'Delete' });
    template.hasResource('AWS::DynamoDB::Table', { DeletionPolicy: 'Retain' });
  });
});
