import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ListedObject, ObjectStore } from '../../lambda/data-pipeline/storage';

/** Objects as files below a directory. A file is written beside its place and moved there, so no reader sees a part of it. */
export class FileStore implements ObjectStore {
  private readonly directories = new Set<string>();

  constructor(private readonly root: string) {}

  /** {@inheritDoc ObjectStore.get} */
  public async get(key: string): Promise<Buffer | undefined> {
    try {
      return await readFile(join(this.root, key));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** {@inheritDoc ObjectStore.stream} */
  public stream(key: string): AsyncIterable<Buffer> {
    return createReadStream(join(this.root, key));
  }

  /** {@inheritDoc ObjectStore.put} */
  public async put(key: string, content: Uint8Array | string): Promise<void> {
    const path = join(this.root, key);
    await this.makeDirectory(dirname(path));
    const beside = `${path}.${randomUUID()}.tmp`;
    await writeFile(beside, content);
    await rename(beside, path);
  }

  /** {@inheritDoc ObjectStore.list} */
  public async *list(prefix: string): AsyncGenerator<string> {
    const slash = prefix.lastIndexOf('/');
    yield* this.walk(prefix.slice(0, slash + 1), prefix);
  }

  /** {@inheritDoc ObjectStore.listWritten} */
  public async *listWritten(prefix: string): AsyncGenerator<ListedObject> {
    for await (const key of this.list(prefix)) {
      const writtenAt = await this.writtenAt(key);
      if (writtenAt !== undefined) yield { key, writtenAt };
    }
  }

  /** {@inheritDoc ObjectStore.writtenAt} */
  public async writtenAt(key: string): Promise<number | undefined> {
    try {
      return (await stat(join(this.root, key))).mtimeMs;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** {@inheritDoc ObjectStore.delete} */
  public async delete(key: string): Promise<void> {
    await rm(join(this.root, key), { force: true });
  }

  private async *walk(directory: string, prefix: string): AsyncGenerator<string> {
    const entries = await readdir(join(this.root, directory), { withFileTypes: true }).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    for (const entry of entries) {
      const key = directory + entry.name;
      if (entry.isDirectory() && (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)))
        yield* this.walk(`${key}/`, prefix);
      else if (entry.isFile() && key.startsWith(prefix) && !key.endsWith('.tmp')) yield key;
    }
  }

  private async makeDirectory(directory: string): Promise<void> {
    if (this.directories.has(directory)) return;
    await mkdir(directory, { recursive: true });
    this.directories.add(directory);
  }
}

/** Whether the error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}
