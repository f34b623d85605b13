import type { Bucket } from '../aws/bucket';
import { listObjects } from '../aws/object-list';
import type { AwsService } from '../aws/service';
import type { InputFile, InputFiles } from '../data-pipeline/storage';

/**
 * Files that have landed. Of a file's content its ETag is known, which S3 gives anew to each that is written; one that
 * was replaced since the run was planned is an error, never a mixture.
 */
export class LandingFiles implements InputFiles {
  private readonly digests = new Map<string, string>();

  /** @param prefix what the keys of files begin with; their names begin after it */
  public constructor(
    private readonly bucket: Bucket,
    private readonly service: AwsService,
    private readonly bucketName: string,
    private readonly prefix: string,
  ) {}

  /** All files, sorted by name as code units. Empty ones that stand for folders are none. */
  public async list(isWanted: (name: string) => boolean): Promise<InputFile[]> {
    const files: InputFile[] = [];
    for await (const { key, bytes, etag } of listObjects(this.service, this.bucketName, this.prefix)) {
      const name = key.slice(this.prefix.length);
      if (name !== '' && !name.endsWith('/') && isWanted(name)) files.push({ name, bytes, digest: etag });
    }
    return files.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** Tells which content of a file is to be read. */
  public expect(name: string, digest: string): void {
    this.digests.set(name, digest);
  }

  /** {@inheritDoc InputFiles.read} */
  public async *read(name: string, from: number, to: number): AsyncGenerator<Buffer> {
    if (to <= from) return;
    const object = await this.bucket.get(this.prefix + name, { range: { from, to: to - 1 } });
    const expected = this.digests.get(name);
    if (!object) throw new Error(`the file ${name} is gone since the run was planned`);
    if (expected !== undefined && object.etag.replaceAll('"', '') !== expected) {
      throw new Error(`the file ${name} was replaced since the run was planned: start another run`);
    }
    for await (const piece of object.body) yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  }
}
