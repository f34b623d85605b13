import { describe, expect, it } from '@jest/globals';
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as kms from 'aws-cdk-lib/aws-kms';
import { DataPipeline, type PipelineDefinition, Retrieval } from '../../../lib';
import { templateOf } from '../synthesise';

const MANUAL: PipelineDefinition = {
  name: 'manual',
  stages: [
    { name: 'chunk', work: { chunk: {} } },
    { name: 'embed', work: { embed: { model: 'bge-m3', dimensions: 8 } } },
  ],
  retrieval: {},
};

describe('a stack that is made again under its name', () => {
  const ID = { 'Fn::Select': [2, { 'Fn::Split': ['/', { Ref: 'AWS::StackId' }] }] };
  const indexed = (removalPolicy?: RemovalPolicy) =>
    templateOf((stack) => {
      const embeddingUrl = 'https://models.example.com';
      new DataPipeline(stack, 'Pipeline', { definition: MANUAL, embeddingUrl, removalPolicy });
    });
  const kept = { DeletionPolicy: 'RetainExceptOnCreate', UpdateReplacePolicy: 'Retain' };

  it('finds no log and no vectors of the one before in its way, and a first attempt that fails leaves none behind', () => {
    const template = indexed();
    const log = { LogGroupName: { 'Fn::Join': ['', Match.arrayWith([ID])] } };
    template.hasResource('AWS::Logs::LogGroup', { ...kept, Properties: Match.objectLike(log) });
    const bucket = { VectorBucketName: { 'Fn::Join': ['', [Match.stringLikeRegexp('^[a-z0-9-]+-$'), ID]] } };
    template.hasResource('AWS::S3Vectors::VectorBucket', { ...kept, Properties: Match.objectLike(bucket) });
  });

  it('keeps or deletes them where it is told to', () => {
    for (const [policy, DeletionPolicy] of [
      [RemovalPolicy.DESTROY, 'Delete'],
      [RemovalPolicy.RETAIN, 'Retain'],
    ] as const) {
      indexed(policy).hasResource('AWS::S3Vectors::VectorBucket', { DeletionPolicy });
    }
  });

  it('asks the bucket of its pipeline, also from another stack', () => {
    const app = new App();
    const one = new Stack(app, 'One');
    const pipeline = new DataPipeline(one, 'Pipeline', {
      definition: MANUAL,
      embeddingUrl: 'https://models.example.com',
    });
    const other = new Stack(app, 'Other');
    new Retrieval(other, 'Retrieval', { pipeline });
    const text = JSON.stringify(Template.fromStack(other).toJSON());
    expect(text).not.toContain('AWS::StackId');
    expect(text).toContain('VECTOR_BUCKET');
  });

  it('uses a key of a stack that it depends on, whose policy names the bucket but for the id of the stack', () => {
    const app = new App();
    const keys = new Stack(app, 'Keys');
    const encryptionKey = new kms.Key(keys, 'Key');
    new DataPipeline(new Stack(app, 'Data'), 'Pipeline', {
      ...{ definition: MANUAL, embeddingUrl: 'https://models.example.com', encryptionKey },
    });
    const [key] = Object.values(Template.fromStack(keys).findResources('AWS::KMS::Key'));
    expect(JSON.stringify(key)).toMatch(/:bucket\/data[a-z0-9-]+-\*/);
  });
});
