import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FilePointers } from '../../../bin/pipeline/file-pointers';
import { FileStore } from '../../../bin/pipeline/file-store';
import type { HttpListener } from '../../../bin/start/http-listener';
import { startDataServices } from '../../../bin/start/services/data-services';
import { type AwsService, awsService } from '../../../lambda/aws/service';
import { Table } from '../../../lambda/aws/table';
import { ExactIndexes } from '../../../lambda/data-pipeline/retrieval/exact-indexes';
import { FunctionError } from '../../../lambda/data-pipeline/stages/function-stage';
import { invoke } from '../../../lambda/pipeline-store/function-call';
import { TablePointers } from '../../../lambda/pipeline-store/table-pointers';
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
    listener = await startDataServices({
      workspaces: new Map([
        ['pointers', workspace],
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

  it('tells which version readers see and which index answers, as the workspace has it at the moment', async () => {
    const table = new Table(service('dynamodb'), 'pointers');
    const [versions, indexes] = [new TablePointers(table, 'docs'), new TablePointers(table, 'docs/index')];
    expect([await versions.current(), await indexes.current()]).toEqual([undefined, undefined]);
    const files = new FilePointers(workspace);
    for (let sequence = 1; sequence <= 12; sequence++) {
      await files.flip({ sequence, version: `v${sequence}`, reason: 'publish' });
    }
    const embedding = { model: 'bge-m3', dimensions: 1024, requestDimensions: false };
    const active = { sequence: 1, version: 'v12', index: 'docs-1', embedding, reason: 'publish' } as const;
    await new FilePointers(join(workspace, 'indexes')).flip(active);
    expect(await versions.current()).toEqual({ sequence: 12, version: 'v12', reason: 'publish' });
    expect(await versions.history()).toEqual(await files.history());
    expect(await indexes.current()).toEqual(active);
    expect(await new TablePointers(table, 'other').current()).toBeUndefined();
    await expect(new TablePointers(new Table(service('dynamodb'), 'elsewhere'), 'docs').current()).rejects.toThrow(
      'Requested resource not found: table elsewhere',
    );
  });

  it('writes nothing into it', async () => {
    const pointers = new TablePointers(new Table(service('dynamodb'), 'pointers'), 'docs');
    await expect(pointers.flip({ sequence: 13, version: 'v13', reason: 'publish' })).rejects.toThrow(
      'DynamoDB_20120810.PutItem is not served here',
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
      new FunctionError('the function failed: told to'),
    );
    await expect(invoke(lambda, 'Unknown', {})).rejects.toThrow('Function not found: Unknown');
  });
});
