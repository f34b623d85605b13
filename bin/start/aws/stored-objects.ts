import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rename, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Bytes in a file, with what HTTP says of them. */
export interface StoredFile {
  readonly path: string;
  readonly bytes: number;
  /** MD5 in hexadecimal digits. */
  readonly digest: string;
}

/** Files in a temporary folder, each written once, under names of their own: keys may be anything. */
export class FileStore {
  private constructor(private readonly folder: string) {}

  public static async create(): Promise<FileStore> {
    return new FileStore(await mkdtemp(join(tmpdir(), 'inference-local-objects-')));
  }

  /** Writes a stream to a file. Where the stream breaks, no file is left. */
  public async write(source: AsyncIterable<Buffer>): Promise<StoredFile> {
    const path = join(this.folder, randomUUID());
    const hash = createHash('md5');
    let bytes = 0;
    const measured = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    };
    try {
      await pipeline(source, measured, createWriteStream(`${path}.part`));
    } catch (error) {
      await rm(`${path}.part`, { force: true });
      throw error;
    }
    await rename(`${path}.part`, path);
    return { path, bytes, digest: hash.digest('hex') };
  }

  /** Reads bytes of a file, both ends included. */
  public read({ path }: StoredFile, from: number, to: number): Readable {
    return to < from ? Readable.from([]) : createReadStream(path, { start: from, end: to });
  }

  /** Reads files one after the other. */
  public async *readAll(files: readonly StoredFile[]): AsyncGenerator<Buffer, void> {
    for (const { path } of files) for await (const chunk of createReadStream(path)) yield chunk as Buffer;
  }

  /** Who reads a file when it is removed reads it to its end. */
  public async remove(files: readonly StoredFile[]): Promise<void> {
    await Promise.all(files.map(({ path }) => unlink(path).catch(() => undefined)));
  }

  public async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
