import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore } from '../../../bin/pipeline/file-store';
import type { HttpListener } from '../../../bin/start/http-listener';
import { startDataServices } from '../../../bin/start/services/data-services';
import { Bucket } from '../../../lambda/aws/bucket';
import { type AwsService, awsService } from '../../../lambda/aws/service';
import { ExactIndexes } from '../../../lambda/data-pipeline/retrieval/exact-indexes';
import { invoke } from '../../../lambda/pipeline-store/function-call';
import { VectorBucketIndexes } from '../../../lambda/pipeline-store/vector-bucket-indexes';
import { VectorDistance } from '../../../lib';

const notAsked = () => {
  throw new Error('nobody asks for a stream');
};

describe('what readers of a pipeline call in a local run', () => {
  const root = mkdtempSync(join(tmpdir(), 'data-services-'));
  const workspace = join(root, 'docs');
  let listener: HttpListener;
  const service = (name: Parameters<typeof awsService>[1]): AwsService =>
    awsService(
      {
        ...{ AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' },
        AWS_ENDPOINT_URL: listener.url,
      },
      name,
      5000,
    );

  beforeAll(async () => {
    mkdirSync(join(workspace, 'indexes'), { recursive: true });
    writeFileSync(join(workspace, 'indexes/active.json'), '{"index":"docs-1"}');
    writeFileSync(join(root, 'secret'), 'not of the workspace');
    listener = await startDataServices({
      workspaces: new Map([
        ['versions', workspace],
        ['vectors', workspace],
      ]),
      functionNamed: (name) =>
        name.endsWith('Known')
          ? {
              invoke: (event) =>
                'fail' in (event as object) ? Promise.reject(new Error('told to')) : Promise.resolve({ event }),
              invokeStreaming: notAsked,
            }
          : undefined,
    });
  });
  afterAll(async () => {
    await listener.close();
    rmSync(root, { recursive: true, force: true });
  });

  it('gives the objects of the workspace, and nothing beside it', async () => {
    const bucket = new Bucket(service('s3'), 'versions');
    expect(await bucket.text('indexes/active.json')).toBe('{"index":"docs-1"}');
    expect(await bucket.text('indexes/other.json')).toBeUndefined();
    expect(await bucket.text('indexes')).toBeUndefined();
    expect((await fetch(`${listener.url}/versions/%2e%2e%2fsecret`)).status).toBe(404);
    expect((await fetch(`${listener.url}/elsewhere/secret`)).status).toBe(404);
  });

  it('writes nothing into it', async () => {
    await expect(new Bucket(service('s3'), 'versions').put('indexes/active.json', '{}')).rejects.toThrow(
      'is not served here',
    );
    await expect(new VectorBucketIndexes(service('s3vectors'), 'vectors', []).drop('docs-1')).rejects.toThrow(
      'is not served here',
    );
  });

  it('searches its indexes as they stand at the moment', async () => {
    const indexes = new VectorBucketIndexes(service('s3vectors'), 'vectors', ['uri']);
    expect(await indexes.open('docs-1')).toBeUndefined();
    const built = await new ExactIndexes(new FileStore(workspace)).create('docs-1', {
      dimensions: 2,
      distance: VectorDistance.COSINE,
    });
    await built.put([
      { id: 'a', vector: [1, 0], fields: { uri: 'a.md' } },
      { id: 'b', vector: [0, 1], fields: { uri: 'b.md' } },
    ]);
    await built.seal();
    const found = await (await indexes.open('docs-1'))!.query([0.1, 1], 1);
    expect(found).toEqual([{ id: 'b', distance: expect.any(Number), fields: { uri: 'b.md' } }]);
  });

  it('invokes functions by name and ARN, and tells their failures from those of the call', async () => {
    const lambda = service('lambda');
    const arn = 'arn:aws:lambda:us-east-1:000000000000:function:Known';
    expect(await invoke(lambda, arn, { a: 1 })).toEqual({ event: { a: 1 } });
    await expect(invoke(lambda, 'Known', { fail: true })).rejects.toThrow(
      'the function failed: {"errorMessage":"told to"',
    );
    await expect(invoke(lambda, 'Unknown', {})).rejects.toThrow('Function not found: Unknown');
  });
});
