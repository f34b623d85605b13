import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type HttpListener, listenLocally } from '../../../bin/start/http-listener';
import { awsService } from '../../../lambda/aws/service';
import { VectorBucketIndexes } from '../../../lambda/pipeline-store/vector-bucket-indexes';
import { VectorDistance } from '../../../lib';

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-limitations.html */
const MOST_VECTORS = 500;
const MOST_BYTES = 20 * 1024 * 1024;

interface Put {
  readonly vectors: readonly { readonly key: string; readonly data: { readonly float32: readonly number[] } }[];
}

describe('a vector bucket', () => {
  const puts: { readonly body: Put; readonly bytes: number }[] = [];
  const calls: string[] = [];
  /** What a call is answered, where that is not 200 and nothing. */
  let answers: Record<string, [status: number, body: object]> = {};
  let listener: HttpListener;
  let indexes: VectorBucketIndexes;

  beforeAll(async () => {
    listener = await listenLocally(0, (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const text = Buffer.concat(parts);
        if (request.url === '/PutVectors') {
          puts.push({ body: JSON.parse(text.toString()) as Put, bytes: text.length });
        }
        calls.push(request.url!);
        const [status, body] = answers[request.url!] ?? [200, {}];
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    const environment = {
      ...{ AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' },
      AWS_ENDPOINT_URL: listener.url,
    };
    indexes = new VectorBucketIndexes(awsService(environment, 's3vectors', 10_000), 'vectors', ['text']);
  });
  afterAll(() => listener.close());
  beforeEach(() => {
    calls.length = 0;
    answers = { '/GetIndex': [200, { index: { indexName: 'docs-1', creationTime: 1_790_000_000.5 } }] };
  });

  it('keeps an index that is there already, and tells it from one that had its name before', async () => {
    const shape = { dimensions: 8, distance: VectorDistance.COSINE };
    const made = await indexes.create('docs-1', shape);
    answers['/CreateIndex'] = [409, { __type: 'ConflictException', message: 'An index with the name exists' }];
    const taken = await indexes.create('docs-1', shape);
    expect(taken.identity).toBe(made.identity);
    expect(calls).toEqual(['/CreateIndex', '/GetIndex', '/CreateIndex', '/GetIndex']);
    answers['/GetIndex'] = [200, { index: { indexName: 'docs-1', creationTime: 1_790_000_060.5 } }];
    expect((await indexes.create('docs-1', shape)).identity).not.toBe(made.identity);
    answers['/CreateIndex'] = [400, { __type: 'ValidationException', message: 'dimension' }];
    await expect(indexes.create('docs-1', shape)).rejects.toThrow('ValidationException');
  });

  async function put(count: number, dimensions: number) {
    puts.length = 0;
    const index = await indexes.create('docs-1', { dimensions, distance: VectorDistance.COSINE });
    const vectors = Array.from({ length: count }, (_, i) => ({
      id: `id-${i}`,
      vector: Array.from({ length: dimensions }, (_each, j) => Math.sin(i * dimensions + j) / 7),
      fields: { text: 'ü'.repeat(400) },
    }));
    const beganAt = performance.now();
    await index.put(vectors);
    return { vectors, seconds: (performance.now() - beganAt) / 1000 };
  }

  it.each([
    ['many small vectors', 1203, 8, 3],
    ['vectors of 4,096 dimensions', 500, 4096, 2],
  ])('is given %s within the limits of a call and of a second, each once', async (_name, count, dimensions, calls) => {
    const { vectors, seconds } = await put(count, dimensions);
    expect(puts.length).toBeGreaterThanOrEqual(calls);
    for (const { body, bytes } of puts) {
      expect(body.vectors.length).toBeLessThanOrEqual(MOST_VECTORS);
      expect(bytes).toBeLessThan(MOST_BYTES);
    }
    const written = puts.flatMap(({ body }) => body.vectors);
    expect(written.map(({ key }) => key)).toEqual(vectors.map(({ id }) => id));
    expect(count / seconds).toBeLessThan(2500);
  });

  it('is given numbers as exactly as it keeps them', async () => {
    const { vectors } = await put(20, 64);
    const kept = puts.flatMap(({ body }) => body.vectors).map(({ data }) => [...Float32Array.from(data.float32)]);
    expect(kept).toEqual(vectors.map(({ vector }) => [...Float32Array.from(vector)]));
  });
});
