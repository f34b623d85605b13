import { describe, expect, it } from '@jest/globals';
import { Duration } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import * as kms from 'aws-cdk-lib/aws-kms';
import { JobQueue } from '../../../lib';
import { newStack, templateOf } from '../synthesise';

describe('a job queue', () => {
  const template = templateOf((stack) => new JobQueue(stack, 'Jobs'));

  it('moves what fails five times to the dead letters, and keeps it for two weeks', () => {
    template.hasResourceProperties('AWS::SQS::Queue', {
      RedrivePolicy: { maxReceiveCount: 5, deadLetterTargetArn: Match.anyValue() },
      MessageRetentionPeriod: 1_209_600,
      VisibilityTimeout: 5400,
    });
  });

  it('is encrypted and TLS only, with or without a key of its own', () => {
    template.allResourcesProperties('AWS::SQS::Queue', { SqsManagedSseEnabled: true });
    template.resourceCountIs('AWS::SQS::QueuePolicy', 2);
    const keyed = templateOf((stack) => new JobQueue(stack, 'Jobs', { encryptionKey: new kms.Key(stack, 'Key') }));
    keyed.allResourcesProperties('AWS::SQS::Queue', { KmsMasterKeyId: Match.anyValue() });
  });

  it('hides a message for longer than its worker may take, as far as SQS can', () => {
    const visibility = (workerTimeout: Duration) =>
      templateOf((stack) => new JobQueue(stack, 'Jobs', { workerTimeout }));
    visibility(Duration.minutes(1)).hasResourceProperties('AWS::SQS::Queue', { VisibilityTimeout: 360 });
    visibility(Duration.hours(3)).hasResourceProperties('AWS::SQS::Queue', { VisibilityTimeout: 43_200 });
  });

  it('lets no other queue put its messages among the dead letters, under a name that no other stack has', () => {
    const name = [
      'jobs-',
      { 'Fn::Select': [2, { 'Fn::Split': ['/', { Ref: 'AWS::StackId' }] }] },
      Match.stringLikeRegexp('^-[0-9a-f]{8}$'),
    ];
    template.hasResourceProperties('AWS::SQS::Queue', { QueueName: { 'Fn::Join': ['', name] } });
    const [, ...rest] = name;
    const account = [
      'arn:',
      { Ref: 'AWS::Partition' },
      ':sqs:',
      { Ref: 'AWS::Region' },
      ':',
      { Ref: 'AWS::AccountId' },
    ];
    template.hasResourceProperties('AWS::SQS::Queue', {
      RedriveAllowPolicy: {
        redrivePermission: 'byQueue',
        sourceQueueArns: [{ 'Fn::Join': ['', [...account, ':jobs-', ...rest]] }],
      },
    });
  });

  it('refuses a receive count of zero', () => {
    expect(() => new JobQueue(newStack(), 'Jobs', { maxReceiveCount: 0 })).toThrow(
      'maxReceiveCount must be a whole number from 1 to 1000, got 0',
    );
  });
});
