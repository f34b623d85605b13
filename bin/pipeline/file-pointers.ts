import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pointer, PointerStore } from '../../lambda/data-pipeline/storage';
import { isMissing } from './file-store';

/**
 * Pointers as files, one a flip, named by their sequence number. A file is written beside and then linked to its name, which
 * fails where the name is taken: so one of two that flip at the same time wins, and a reader sees all of a pointer or none.
 */
export class FilePointers implements PointerStore {
  private readonly directory: string;

  constructor(root: string) {
    this.directory = join(root, 'pointers');
  }

  /** {@inheritDoc PointerStore.current} */
  public async current(): Promise<Pointer | undefined> {
    const name = (await this.names()).at(-1);
    return name === undefined ? undefined : this.read(name);
  }

  /** {@inheritDoc PointerStore.history} */
  public async history(): Promise<Pointer[]> {
    return Promise.all((await this.names()).map((name) => this.read(name)));
  }

  /** {@inheritDoc PointerStore.flip} */
  public async flip(next: Pointer): Promise<boolean> {
    await mkdir(this.directory, { recursive: true });
    // Another in the same process, or with the same number elsewhere, may flip at this moment too.
    const beside = join(this.directory, `${randomUUID()}.tmp`);
    await writeFile(beside, `${JSON.stringify(next)}\n`);
    try {
      await link(beside, join(this.directory, `${String(next.sequence).padStart(8, '0')}.json`));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      await rm(beside, { force: true });
    }
  }

  private async names(): Promise<string[]> {
    const names = await readdir(this.directory).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    return names.filter((name) => name.endsWith('.json')).sort();
  }

  private async read(name: string): Promise<Pointer> {
    return JSON.parse(await readFile(join(this.directory, name), 'utf8')) as Pointer;
  }
}
