import { describe, expect, it } from '@jest/globals';
import { Match } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { GpuFleet, type GpuFleetProps, ModelEndpoint } from '../../../lib';
import { givenVpc, newStack, templateOf } from '../synthesise';

const MODEL = { model: 'Qwen/Qwen3-8B' };

function templateWith(props: Partial<GpuFleetProps> = {}) {
  return templateOf((stack) => new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer: MODEL, ...props }));
}

describe('a GPU fleet', () => {
  const template = templateWith();

  it('spans the zones of its network, with a second instance type where the first has run out', () => {
    template.hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', {
      MinSize: '2',
      MaxSize: '6',
      HealthCheckType: 'ELB',
      HealthCheckGracePeriod: 120,
      VPCZoneIdentifier: [Match.anyValue(), Match.anyValue(), Match.anyValue()],
      MixedInstancesPolicy: {
        LaunchTemplate: { Overrides: [{ InstanceType: 'g6.xlarge' }, { InstanceType: 'g5.xlarge' }] },
      },
    });
  });

  it('launches a GPU image by its parameter, with IMDSv2 and encrypted volumes', () => {
    template.hasResourceProperties('AWS::EC2::LaunchTemplate', {
      LaunchTemplateData: {
        ImageId: Match.stringLikeRegexp('^resolve:ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver'),
        MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
        BlockDeviceMappings: [Match.objectLike({ Ebs: Match.objectLike({ Encrypted: true }) })],
      },
    });
  });

  it('is held at its GPU utilisation, measured every ten seconds', () => {
    template.hasResourceProperties('AWS::AutoScaling::ScalingPolicy', {
      PolicyType: 'TargetTrackingScaling',
      TargetTrackingConfiguration: {
        TargetValue: 70,
        CustomizedMetricSpecification: {
          Metrics: [
            Match.objectLike({
              MetricStat: Match.objectLike({
                Metric: Match.objectLike({ MetricName: 'nvidia_smi_utilization_gpu' }),
                Period: 10,
              }),
            }),
          ],
        },
      },
    });
  });

  it('brings a new instance before an old one goes', () => {
    template.hasResource('AWS::AutoScaling::AutoScalingGroup', {
      UpdatePolicy: {
        AutoScalingInstanceRefresh: { Preferences: Match.objectLike({ MinHealthyPercentage: 100 }) },
      },
    });
  });

  it('may write metrics to its own namespace only', () => {
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Action: 'cloudwatch:PutMetricData',
            Condition: { StringEquals: { 'cloudwatch:namespace': 'InferencePlatform/Gpu' } },
          }),
        ]),
      },
    });
  });

  it('is reached by its load balancer only', () => {
    const behind = templateOf((stack) => {
      const vpc = givenVpc(stack);
      const endpoint = new ModelEndpoint(stack, 'Endpoint', { vpc });
      new GpuFleet(stack, 'Fleet', { vpc, modelServer: MODEL }).attachTo(endpoint.targetGroup);
    });
    behind.resourceCountIs('AWS::EC2::SecurityGroupIngress', 1);
    behind.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
      FromPort: 8000,
      SourceSecurityGroupId: { 'Fn::GetAtt': [Match.stringLikeRegexp('EndpointSecurityGroup'), 'GroupId'] },
    });
  });

  it('reads its token for licensed models from a secret, at boot', () => {
    const licensed = templateOf((stack) => {
      const huggingFaceToken = secretsmanager.Secret.fromSecretNameV2(stack, 'Token', 'hugging-face');
      new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer: { ...MODEL, huggingFaceToken } });
    });
    licensed.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([Match.objectLike({ Action: Match.arrayWith(['secretsmanager:GetSecretValue']) })]),
      },
    });
    expect(JSON.stringify(licensed.toJSON())).toContain('aws secretsmanager get-secret-value');
  });

  it('takes other instances and another size', () => {
    templateWith({
      instanceTypes: [new ec2.InstanceType('p5.48xlarge')],
      minCapacity: 1,
      maxCapacity: 2,
    }).hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', { MinSize: '1', MaxSize: '2' });
  });

  it.each<[Partial<GpuFleetProps>, string]>([
    [{ minCapacity: 0 }, 'minCapacity must be a whole number of at least 1, got 0'],
    [{ minCapacity: 4, maxCapacity: 3 }, 'maxCapacity must be a whole number of at least minCapacity (4), got 3'],
    [{ targetGpuUtilization: 0 }, 'targetGpuUtilization must be from 1 to 100 per cent, got 0'],
    [{ instanceTypes: [] }, 'instanceTypes must list at least one type'],
    [{ modelServer: { model: ' ' } }, 'modelServer.model and servedModelNames must not be empty'],
  ])('refuses %j', (props, message) => {
    const stack = newStack();
    expect(() => new GpuFleet(stack, 'Fleet', { vpc: givenVpc(stack), modelServer: MODEL, ...props })).toThrow(message);
  });
});
