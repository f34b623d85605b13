import { describe, expect, it } from '@jest/globals';
import { actionsOf } from './aws-actions';

const QUEUES = { 'http://sqs/1/work-queue': 'work' };

function json(target: string, input: object): string[] {
  const request = {
    method: 'POST',
    url: '/',
    headers: { 'x-amz-target': target },
    body: Buffer.from(JSON.stringify(input)),
  };
  return actionsOf(request, QUEUES);
}

function s3(method: string, url: string): string[] {
  return actionsOf({ method, url, headers: {}, body: Buffer.alloc(0) }, QUEUES);
}

describe('the permission that a request needs', () => {
  it('names the queue that is called, and knows a batch as its single action', () => {
    expect(json('AmazonSQS.SendMessageBatch', { QueueUrl: 'http://sqs/1/work-queue' })).toEqual([
      'sqs:SendMessage work',
    ]);
    expect(json('AmazonSQS.SendMessage', { QueueUrl: 'http://sqs/1/other' })).toEqual([
      'sqs:SendMessage http://sqs/1/other',
    ]);
  });

  it('is told by the path where a service has no targets, and by what a listing is of', () => {
    const post = (url: string, body: object = {}) =>
      actionsOf({ method: 'POST', url, headers: {}, body: Buffer.from(JSON.stringify(body)) }, QUEUES);
    expect(post('/2015-03-31/functions/f%3A1/invocations')).toEqual(['lambda:InvokeFunction']);
    expect(post('/PutVectors')).toEqual(['s3vectors:PutVectors']);
    expect(post('/QueryVectors')).toEqual(['s3vectors:QueryVectors']);
    expect(post('/QueryVectors', { returnMetadata: true })).toEqual(['s3vectors:QueryVectors', 's3vectors:GetVectors']);
    expect(json('AWSStepFunctions.StartExecution', {})).toEqual(['states:StartExecution']);
    expect(s3('GET', '/b?list-type=2&prefix=features%2Fcustomer%2F')).toEqual(['s3:ListBucket features/']);
    expect(s3('GET', '/b?versions=&prefix=features%2F')).toEqual(['s3:ListBucketVersions features/']);
    expect(s3('DELETE', '/b/features/x?versionId=1')).toEqual(['s3:DeleteObjectVersion features/']);
  });

  it('is that of each write of a transaction', () => {
    const TransactItems = [{ Update: {} }, { Put: {} }, { ConditionCheck: {} }, { Delete: {} }];
    expect(json('DynamoDB_20120810.TransactWriteItems', { TransactItems })).toEqual([
      'dynamodb:UpdateItem',
      'dynamodb:PutItem',
      'dynamodb:ConditionCheckItem',
      'dynamodb:DeleteItem',
    ]);
    expect(json('DynamoDB_20120810.GetItem', {})).toEqual(['dynamodb:GetItem']);
    expect(json('secretsmanager.GetSecretValue', {})).toEqual(['secretsmanager:GetSecretValue']);
  });

  it.each([
    ['GET', '/bucket/files/acme/file-1?x-id=GetObject', 's3:GetObject files/'],
    ['HEAD', '/bucket/files/acme/file-1', 's3:GetObject files/'],
    ['PUT', '/bucket/items/batch_1/7.json', 's3:PutObject items/'],
    ['POST', '/bucket/files/acme/file-1?uploads=', 's3:PutObject files/'],
    ['PUT', '/bucket/files/acme/file-1?partNumber=1&uploadId=x', 's3:PutObject files/'],
    ['DELETE', '/bucket/files/acme/file-1?uploadId=x', 's3:AbortMultipartUpload files/'],
    ['DELETE', '/bucket/files/acme/file-1', 's3:DeleteObject files/'],
  ])('of %s %s is %s', (method, url, action) => {
    expect(s3(method, url)).toEqual([action]);
  });

  it('is not guessed', () => {
    expect(() => s3('GET', '/bucket?list-type=2')).toThrow('not a known request: GET /bucket?list-type=2');
    expect(() => s3('POST', '/bucket/files/acme/file-1')).toThrow('not a known request');
    expect(() => json('Kinesis_20131202.PutRecord', {})).toThrow('not a known service: Kinesis_20131202.PutRecord');
  });
});
