import type { Bucket } from '../aws/bucket';
import { listObjects } from '../aws/object-list';
import type { AwsService } from '../aws/service';
import type { ListedObject, ObjectStore } from '../data-pipeline/storage';

/** A pipeline's objects in its bucket: what it publishes, what it is at work on, and what it knows of the past. */
export class BucketStore implements ObjectStore {
  public constructor(
    private readonly bucket: Bucket,
    private readonly service: AwsService,
    private readonly name: string,
  ) {}

  /** {@inheritDoc ObjectStore.get} */
  public async get(key: string): Promise<Buffer | undefined> {
    const object = await this.bucket.get(key);
    if (!object) return undefined;
    const pieces: Uint8Array[] = [];
    for await (const piece of object.body) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** {@inheritDoc ObjectStore.stream} */
  public async *stream(key: string): AsyncGenerator<Buffer> {
    const object = await this.bucket.get(key);
    if (!object) throw new Error(`there is no object ${key}`);
    for await (const piece of object.body) yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  }

  /** {@inheritDoc ObjectStore.put} */
  public async put(key: string, content: Uint8Array | string): Promise<void> {
    await this.bucket.put(key, content);
  }

  /** {@inheritDoc ObjectStore.list} */
  public async *list(prefix: string): AsyncGenerator<string> {
    for await (const { key } of listObjects(this.service, this.name, prefix)) yield key;
  }

  /** {@inheritDoc ObjectStore.listWritten} */
  public async *listWritten(prefix: string): AsyncGenerator<ListedObject> {
    for await (const { key, modifiedMs } of listObjects(this.service, this.name, prefix)) {
      yield { key, writtenAt: modifiedMs };
    }
  }

  /** {@inheritDoc ObjectStore.writtenAt} */
  public async writtenAt(key: string): Promise<number | undefined> {
    return (await this.bucket.head(key))?.modifiedAt;
  }

  /** {@inheritDoc ObjectStore.delete} */
  public delete(key: string): Promise<void> {
    return this.bucket.remove(key);
  }
}
