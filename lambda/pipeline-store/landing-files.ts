import { AwsError } from '../aws/aws-error';
import type { Bucket } from '../aws/bucket';
import { listObjects } from '../aws/object-list';
import type { ByteRange, ObjectStream } from '../aws/object-stream';
import { objectTag } from '../aws/object-tags';
import type { AwsService } from '../aws/service';
import { NotYetScanned, UncleanFile } from '../data-pipeline/reading/file-scan';
import type { InputFile, InputFiles } from '../data-pipeline/storage';

/** The tag by which GuardDuty says what it found, and what it says of a file that may be read. */
const STATUS_TAG = 'GuardDutyMalwareScanStatus';
const CLEAN = 'NO_THREATS_FOUND';

/**
 * Files that have landed. Of a file's content its ETag is known, which S3 gives anew to each that is written; one that
 * was replaced since the run was planned is an error, never a mixture.
 */
export class LandingFiles implements InputFiles {
  private readonly digests = new Map<string, string>();

  /**
   * @param prefix what the keys of files begin with; their names begin after it
   * @param isScanned whether S3 refuses to give what a malware scan has not found clean
   */
  public constructor(
    private readonly bucket: Bucket,
    private readonly service: AwsService,
    private readonly bucketName: string,
    private readonly prefix: string,
    private readonly isScanned = false,
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
    const object = await this.open(name, { from, to: to - 1 });
    this.mustBeSame(name, object?.etag.replaceAll('"', ''));
    for await (const piece of object!.body) yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  }

  private async open(name: string, range: ByteRange): Promise<ObjectStream | undefined> {
    try {
      return await this.bucket.get(this.prefix + name, { range });
    } catch (error) {
      if (this.isScanned && error instanceof AwsError && error.status === 403) await this.mustBeClean(name);
      throw error;
    }
  }

  /** Says of a file that S3 does not give whether that is for its scan. */
  private async mustBeClean(name: string): Promise<void> {
    const key = this.prefix + name;
    // What replaced the file has no tag before its own scan: what the tag says is of the file that is looked at here.
    this.mustBeSame(name, await this.etagOf(key));
    const status = await objectTag(this.service, this.bucketName, key, STATUS_TAG);
    if (status === undefined) {
      throw new NotYetScanned(
        `the file ${name} is not scanned yet; one that landed before there was a scan has to be scanned on demand`,
      );
    }
    if (status !== CLEAN) throw new UncleanFile(status);
  }

  private async etagOf(key: string): Promise<string | undefined> {
    // Of the keys that begin so, this one is the first.
    for await (const found of listObjects(this.service, this.bucketName, key)) {
      return found.key === key ? found.etag : undefined;
    }
    return undefined;
  }

  private mustBeSame(name: string, etag: string | undefined): void {
    const expected = this.digests.get(name);
    if (etag === undefined) throw new Error(`the file ${name} is gone since the run was planned`);
    if (expected !== undefined && etag !== expected) {
      throw new Error(`the file ${name} was replaced since the run was planned: start another run`);
    }
  }
}
