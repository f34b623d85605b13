import { VectorDistance } from '../../lib/policy';
import { AwsError } from '../aws/aws-error';
import { exchange } from '../aws/exchange';
import type { AwsService } from '../aws/service';
import type { IndexedVector, Match, VectorIndex, VectorIndexes } from '../data-pipeline/retrieval/vector-index';

/** As many vectors as one call takes, and bytes of JSON, with room for the rest of the call: 20 MiB are taken. */
const MOST_VECTORS = 500;
const MOST_BYTES = 16 * 1024 * 1024;

/** Below the 2,500 a second that an index takes. */
const VECTORS_PER_MS = 2;

/** The vectors are kept in 32 bits, which so many digits say exactly. */
const DIGITS = 9;

/** Indexes of an S3 vector bucket. */
export class VectorBucketIndexes implements VectorIndexes {
  /** @param fields what is kept beside vectors: given back, and not filtered by, so that it may be long */
  public constructor(
    private readonly service: AwsService,
    private readonly bucket: string,
    private readonly fields: readonly string[],
  ) {}

  /** {@inheritDoc VectorIndexes.create} */
  public async create(
    name: string,
    { dimensions, distance }: { readonly dimensions: number; readonly distance: VectorDistance },
  ): Promise<VectorIndex> {
    const { fields } = this;
    try {
      await this.call('CreateIndex', {
        indexName: name,
        dataType: 'float32',
        dimension: dimensions,
        distanceMetric: distance === VectorDistance.COSINE ? 'cosine' : 'euclidean',
        ...(fields.length > 0 && { metadataConfiguration: { nonFilterableMetadataKeys: fields } }),
      });
    } catch (error) {
      if (!isThere(error)) throw error;
    }
    const index = await this.open(name);
    if (!index) throw new Error(`the index ${name} was dropped just as it was made`);
    return index;
  }

  /** {@inheritDoc VectorIndexes.open} */
  public async open(name: string): Promise<VectorIndex | undefined> {
    try {
      const { index } = (await this.call('GetIndex', { indexName: name })) as {
        readonly index: { readonly creationTime: number };
      };
      return this.index(name, String(index.creationTime));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** {@inheritDoc VectorIndexes.drop} */
  public async drop(name: string): Promise<void> {
    try {
      await this.call('DeleteIndex', { indexName: name });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  private index(name: string, identity: string): VectorIndex {
    return {
      identity,
      put: async (vectors) => {
        for (const some of callsOf(vectors)) {
          const calling = this.call('PutVectors', { indexName: name, vectors: some });
          await Promise.all([calling, this.service.pause(some.length / VECTORS_PER_MS)]);
        }
      },
      // What is put is found at once.
      seal: () => Promise.resolve(),
      query: async (vector, results) => {
        const answer = (await this.call('QueryVectors', {
          indexName: name,
          topK: results,
          queryVector: { float32: vector },
          returnMetadata: true,
          returnDistance: true,
        })) as { readonly vectors: readonly { key: string; distance: number; metadata?: Match['fields'] }[] };
        return answer.vectors.map(({ key, distance, metadata = {} }) => ({ id: key, distance, fields: metadata }));
      },
    };
  }

  /** Every operation is safe to repeat: to put, make or delete the same twice comes to the same. */
  private call(operation: string, input: object): Promise<unknown> {
    return exchange(this.service, {
      ...{ operation, method: 'POST', path: `/${operation}`, isRepeatable: true },
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ vectorBucketName: this.bucket, ...input }),
      read: async (answer) => {
        const text = await answer.text();
        return text === '' ? {} : (JSON.parse(text) as unknown);
      },
    });
  }
}

/** Vectors as they are written, in pieces that one call takes. */
function* callsOf(vectors: readonly IndexedVector[]): Generator<object[]> {
  let [some, bytes]: [object[], number] = [[], 0];
  for (const { id, vector, fields } of vectors) {
    const float32 = vector.map((value) => Number(Math.fround(value).toPrecision(DIGITS)));
    const written = { key: id, data: { float32 }, metadata: fields };
    const size = Buffer.byteLength(JSON.stringify(written));
    if (some.length === MOST_VECTORS || (some.length > 0 && bytes + size > MOST_BYTES)) {
      yield some;
      [some, bytes] = [[], 0];
    }
    some.push(written);
    bytes += size;
  }
  if (some.length > 0) yield some;
}

function isThere(error: unknown): boolean {
  return error instanceof AwsError && (error.status === 409 || error.code === 'ConflictException');
}

function isMissing(error: unknown): boolean {
  return error instanceof AwsError && (error.status === 404 || error.code === 'NotFoundException');
}
