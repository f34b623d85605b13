import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream, type Dirent, type Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunFiles } from '../../lambda/data-pipeline/running/steps';
import type { InputFile } from '../../lambda/data-pipeline/storage';
import { UserError } from '../user-error';
import { isMissing } from './file-store';

const PIECE_BYTES = 1024 * 1024;

/** A file as it was hashed, and what tells that it was written to since. */
interface FileState extends Pick<Stats, 'ino' | 'size' | 'mtimeMs'> {
  readonly digest: string;
}

/** The files below a directory. Links are followed, but no directory twice. */
export class InputDirectory implements RunFiles {
  /** Files that the last list left out. */
  public passedOver = 0;

  private readonly states = new Map<string, FileState>();
  /** Names that are not UTF-8, with a sign in the place of what cannot be read: no file can be opened by them. */
  private readonly misnamed = new Set<string>();

  /** @param hashing takes the share of the files that are hashed */
  constructor(
    private readonly root: string,
    private readonly hashing: (share: number) => void = () => undefined,
  ) {}

  /** {@inheritDoc RunFiles.list} Sorted by name as code units. */
  public async list(isRead: (name: string) => boolean): Promise<InputFile[]> {
    const names: string[] = [];
    try {
      await this.walk('', names, new Set());
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError(
        `cannot read the input ${this.root}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
      );
    }
    const files: InputFile[] = [];
    const read = names.filter(isRead).sort();
    this.passedOver = names.length - read.length;
    const misnamed = read.find((name) => this.misnamed.has(name));
    if (misnamed !== undefined) throw isMisnamed(this.root, misnamed);
    for (const [i, name] of read.entries()) {
      files.push({ name, ...(await this.digest(name)) });
      this.hashing((i + 1) / read.length);
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

  /** {@inheritDoc RunFiles.expect} */
  public expect(name: string, digest: string): void {
    if (this.states.get(name)?.digest !== digest) throw hasChanged(name);
  }

  /** {@inheritDoc InputFiles.read} */
  public async *read(name: string, from: number, to: number): AsyncGenerator<Buffer> {
    const path = join(this.root, name);
    const expected = this.states.get(name);
    if (expected && !isSame(expected, await stat(path))) throw hasChanged(name);
    if (from < to) yield* createReadStream(path, { start: from, end: to - 1, highWaterMark: PIECE_BYTES });
  }

  private async digest(name: string): Promise<{ bytes: number; digest: string }> {
    const hash = createHash('sha256');
    const { ino, size, mtimeMs } = await stat(join(this.root, name));
    let bytes = 0;
    for await (const piece of createReadStream(join(this.root, name), {
      highWaterMark: PIECE_BYTES,
    }) as AsyncIterable<Buffer>) {
      hash.update(piece);
      bytes += piece.length;
    }
    const digest = hash.digest('hex');
    this.states.set(name, { ino, size, mtimeMs, digest });
    return { bytes, digest };
  }

  private async walk(directory: string, names: string[], visited: Set<string>): Promise<void> {
    const path = join(this.root, directory);
    const { dev, ino } = await stat(path);
    if (visited.has(`${dev}:${ino}`)) return;
    visited.add(`${dev}:${ino}`);
    for (const entry of (await readdir(path, { withFileTypes: true, encoding: 'buffer' })).sort(byName)) {
      const name = directory + entry.name.toString('utf8');
      if (!isUtf8(entry.name)) {
        if (entry.isDirectory()) throw isMisnamed(this.root, name);
        this.misnamed.add(name);
        names.push(name);
        continue;
      }
      const kind = entry.isSymbolicLink() ? await stat(join(this.root, name)).catch(() => undefined) : entry;
      if (kind?.isDirectory()) await this.walk(`${name}/`, names, visited);
      else if (kind?.isFile()) names.push(name);
    }
  }
}

function isSame(one: FileState, other: Stats): boolean {
  return one.ino === other.ino && one.size === other.size && one.mtimeMs === other.mtimeMs;
}

function hasChanged(name: string): UserError {
  return new UserError(`the file ${name} has changed since the run began: run again`);
}

function isMisnamed(root: string, name: string): UserError {
  return new UserError(`the name of ${name} in ${root} is not UTF-8: rename it`);
}

function byName(a: Dirent<Buffer>, b: Dirent<Buffer>): number {
  return Buffer.compare(a.name, b.name);
}
