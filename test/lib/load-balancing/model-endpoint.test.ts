import { describe, expect, it } from '@jest/globals';
import { Duration } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import { Balancing, EndpointCertificate, ModelEndpoint, type ModelEndpointProps } from '../../../lib';
import { givenVpc, newStack, templateOf } from '../synthesise';

describe('a model endpoint', () => {
  const template = templateOf((stack) => new ModelEndpoint(stack, 'Endpoint', { vpc: givenVpc(stack) }));

  it('is internal, with TLS on both sides', () => {
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', { Scheme: 'internal' });
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::Listener', {
      Port: 443,
      Protocol: 'HTTPS',
      Certificates: [{ CertificateArn: { 'Fn::GetAtt': [Match.stringLikeRegexp('Certificate'), 'Arn'] } }],
    });
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::TargetGroup', {
      Protocol: 'HTTPS',
      HealthCheckPath: '/health',
      HealthCheckProtocol: 'HTTPS',
    });
  });

  it('sends a request where the fewest are in progress', () => {
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::TargetGroup', {
      TargetGroupAttributes: Match.arrayWith([
        { Key: 'load_balancing.algorithm.type', Value: 'least_outstanding_requests' },
      ]),
    });
  });

  it.each<[Partial<ModelEndpointProps>, object[]]>([
    [
      { balancing: Balancing.WEIGHTED_RANDOM },
      [
        { Key: 'load_balancing.algorithm.type', Value: 'weighted_random' },
        { Key: 'load_balancing.algorithm.anomaly_mitigation', Value: 'on' },
      ],
    ],
    [
      { balancing: Balancing.ROUND_ROBIN, slowStart: Duration.seconds(60) },
      [
        { Key: 'slow_start.duration_seconds', Value: '60' },
        { Key: 'load_balancing.algorithm.type', Value: 'round_robin' },
      ],
    ],
  ])('chooses instances otherwise: %j', (props, attributes) => {
    const other = templateOf((stack) => new ModelEndpoint(stack, 'Endpoint', { vpc: givenVpc(stack), ...props }));
    other.hasResourceProperties('AWS::ElasticLoadBalancingV2::TargetGroup', {
      TargetGroupAttributes: Match.arrayWith(attributes),
    });
  });

  it('bounds requests in flight by agents, and counts those that found no room', () => {
    const bounded = templateOf((stack) => {
      const balancing = Balancing.BOUNDED_CONCURRENCY;
      const endpoint = new ModelEndpoint(stack, 'Endpoint', { vpc: givenVpc(stack), balancing, controlPort: 3001 });
      expect(endpoint.metricRejectedRequests()).toMatchObject({
        namespace: 'AWS/ApplicationELB',
        metricName: 'TargetControlRequestRejectCount',
        statistic: 'Sum',
      });
    });
    bounded.hasResourceProperties('AWS::ElasticLoadBalancingV2::TargetGroup', {
      TargetControlPort: 3001,
      TargetGroupAttributes: Match.not(Match.arrayWith([Match.objectLike({ Key: 'load_balancing.algorithm.type' })])),
    });
    const endpoint = new ModelEndpoint(newStack(), 'Endpoint', { vpc: givenVpc(newStack()) });
    expect(() => endpoint.metricRejectedRequests()).toThrow(
      'metricRejectedRequests needs Balancing.BOUNDED_CONCURRENCY',
    );
  });

  it('can be shifted out of a zone, unless that is refused', () => {
    const shifts = (props: Partial<ModelEndpointProps>) =>
      templateOf((stack) => new ModelEndpoint(stack, 'Endpoint', { vpc: givenVpc(stack), ...props }));
    for (const [props, Value] of [
      [{}, 'true'],
      [{ zonalShift: false }, 'false'],
    ] as const) {
      shifts(props).hasResourceProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', {
        LoadBalancerAttributes: Match.arrayWith([{ Key: 'zonal_shift.config.enabled', Value }]),
      });
    }
  });

  it('logs access in any region, to a bucket that its service may write to', () => {
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', {
      LoadBalancerAttributes: Match.arrayWith([{ Key: 'access_logs.s3.enabled', Value: 'true' }]),
    });
    template.hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Effect: 'Allow',
            Principal: { Service: 'logdelivery.elasticloadbalancing.amazonaws.com' },
            Action: 's3:PutObject',
          }),
        ]),
      },
    });
  });

  it('opens its port to nobody by itself', () => {
    template.hasResourceProperties('AWS::EC2::SecurityGroup', {
      GroupDescription: 'Load balancer of a model',
      SecurityGroupIngress: Match.absent(),
    });
  });

  it('takes a certificate of your own, and makes none then', () => {
    const given = templateOf((stack) => {
      const certificate = acm.Certificate.fromCertificateArn(
        stack,
        'Given',
        'arn:aws:acm:us-east-1:111122223333:certificate/1',
      );
      const endpoint = new ModelEndpoint(stack, 'Endpoint', {
        vpc: givenVpc(stack),
        certificate,
        serverName: 'models.example.com',
      });
      expect([endpoint.serverName, endpoint.certificate]).toEqual(['models.example.com', undefined]);
    });
    given.resourceCountIs('Custom::EndpointCertificate', 0);
  });

  it.each<[string, Partial<ModelEndpointProps>, string]>([
    [
      'a name without certificate',
      { serverName: 'a.b' },
      'certificate is required: certificate and serverName go together',
    ],
    [
      'a certificate without name',
      { certificate: {} as never },
      'serverName is required: certificate and serverName go',
    ],
    [
      'a slow start with least outstanding requests',
      { slowStart: Duration.seconds(60) },
      'slowStart needs balancing of Balancing.ROUND_ROBIN',
    ],
    [
      'a slow start with weighted random',
      { slowStart: Duration.seconds(60), balancing: Balancing.WEIGHTED_RANDOM },
      'slowStart needs balancing of Balancing.ROUND_ROBIN, got weighted-random',
    ],
    [
      'a slow start that is too long',
      { slowStart: Duration.hours(1), balancing: Balancing.ROUND_ROBIN },
      'slowStart must be from 30 to 900 seconds, got 1 hour',
    ],
    ['a port for agents without any', { controlPort: 3001 }, 'controlPort goes with Balancing.BOUNDED_CONCURRENCY'],
    [
      'a port that is none',
      { controlPort: 70_000, balancing: Balancing.BOUNDED_CONCURRENCY },
      'controlPort must be a whole number from 1 to 65535, got 70000',
    ],
    [
      'two certificates',
      { certificate: {} as never, serverName: 'a.b', endpointCertificate: {} as never },
      'certificate and endpointCertificate exclude each other',
    ],
  ])('refuses %s', (_, props, message) => {
    const stack = newStack();
    expect(() => new ModelEndpoint(stack, 'Endpoint', { vpc: givenVpc(stack), ...props })).toThrow(message);
  });
});

describe('an endpoint certificate', () => {
  const template = templateOf(
    (stack) => new EndpointCertificate(stack, 'Certificate', { serverName: 'models.internal', serial: '2' }),
  );
  const key = { 'Fn::GetAtt': [Match.stringLikeRegexp('^CertificateAuthorityKey'), 'Arn'] };

  it('is made by a function that may touch certificates, sign by its own key, and nothing else', () => {
    template.hasResourceProperties('Custom::EndpointCertificate', {
      ...{ ServerName: 'models.internal', ValidityDays: 398, Serial: '2', AuthorityKey: key },
    });
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Action: [
              'acm:AddTagsToCertificate',
              'acm:DeleteCertificate',
              'acm:GetCertificate',
              'acm:ImportCertificate',
            ],
          }),
          { Action: ['kms:GetPublicKey', 'kms:Sign'], Effect: 'Allow', Resource: key },
        ]),
      },
    });
  });

  it('has a key that signs and cannot leave KMS, and goes with it', () => {
    template.hasResource('AWS::KMS::Key', {
      Properties: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' },
      ...{ DeletionPolicy: 'Delete', UpdateReplacePolicy: 'Delete' },
    });
  });

  it('is looked at each day by the same function, to be replaced in time', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(1 day)',
      Targets: [
        {
          Arn: { 'Fn::GetAtt': [Match.stringLikeRegexp('^CertificateMaker'), 'Arn'] },
          Input: {
            'Fn::Join': [
              '',
              [
                '{"ServerName":"models.internal","ValidityDays":398,"AuthorityKey":"',
                key,
                '","CertificateArn":"',
                { 'Fn::GetAtt': [Match.stringLikeRegexp('^Certificate'), 'Arn'] },
                '"}',
              ],
            ],
          },
        },
      ],
    });
  });

  it.each([
    [{ serverName: 'not a host' }, 'serverName must be a host name of at most 64 lower-case characters'],
    [
      { validity: Duration.days(900) },
      'validity must be from 7 to 825 days, since it is looked at once a day, got 900',
    ],
    [{ validity: Duration.days(6) }, 'validity must be from 7 to 825 days, since it is looked at once a day, got 6'],
    [{ serial: '' }, 'serial must not be empty: leave it out for "1", or count it up'],
  ])('refuses %j', (props, message) => {
    expect(() => new EndpointCertificate(newStack(), 'Certificate', props)).toThrow(message);
  });
});
