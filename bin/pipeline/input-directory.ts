import { createHash } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { InputFile, InputFiles } from '../../lambda/data-pipeline/storage';
import { UserError } from '../user-error';
import { isMissing } from './file-store';

const PIECE_BYTES = 1024 * 1024;

/** The files below a directory. Links are followed, but no directory twice. */
export class InputDirectory implements InputFiles {
  constructor(private readonly root: string) {}

  /**
   * The files that are read, sorted by name as code units, with the hashes of what they hold.
   *
   * @param isRead whether a file is read, by its name
   * @param progress takes the share that is done
   */
  public async list(
    isRead: (name: string) => boolean,
    progress: (share: number) => void = () => undefined,
  ): Promise<InputFile[]> {
    const names: string[] = [];
    try {
      await this.walk('', names, new Set());
    } catch (error) {
      throw new UserError(
        `cannot read the input ${this.root}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
      );
    }
    const files: InputFile[] = [];
    const read = names.filter(isRead).sort();
    for (const [i, name] of read.entries()) {
      files.push({ name, ...(await this.digest(name)) });
      progress((i + 1) / read.length);
    }
    return files;
  }

  /** One file by its name; undefined where there is none. */
  public async find(name: string): Promise<InputFile | undefined> {
    try {
      return { name, ...(await this.digest(name)) };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** {@inheritDoc InputFiles.read} */
  public read(name: string, from: number, to: number): AsyncIterable<Buffer> {
    if (from >= to) return Readable.from([]);
    return createReadStream(join(this.root, name), { start: from, end: to - 1, highWaterMark: PIECE_BYTES });
  }

  private async digest(name: string): Promise<{ bytes: number; digest: string }> {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const piece of createReadStream(join(this.root, name), {
      highWaterMark: PIECE_BYTES,
    }) as AsyncIterable<Buffer>) {
      hash.update(piece);
      bytes += piece.length;
    }
    return { bytes, digest: hash.digest('hex') };
  }

  private async walk(directory: string, names: string[], visited: Set<string>): Promise<void> {
    const path = join(this.root, directory);
    const { dev, ino } = await stat(path);
    if (visited.has(`${dev}:${ino}`)) return;
    visited.add(`${dev}:${ino}`);
    for (const entry of (await readdir(path, { withFileTypes: true })).sort(byName)) {
      const name = directory + entry.name;
      const kind = entry.isSymbolicLink() ? await stat(join(this.root, name)).catch(() => undefined) : entry;
      if (kind?.isDirectory()) await this.walk(`${name}/`, names, visited);
      else if (kind?.isFile()) names.push(name);
    }
  }
}

function byName(a: Dirent, b: Dirent): number {
  return a.name < b.name ? -1 : 1;
}
