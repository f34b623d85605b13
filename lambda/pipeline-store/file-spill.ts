import { appendFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Spill } from '../data-pipeline/running/uniqueness';

/**
 * Lists of lines in files, for the time of one audit. Each audit has a directory of its own, so that two that run at the same
 * time are not in each other's way; what one that was cut off has left is cleared away by the next.
 */
export class FileSpill implements Spill {
  private directory: Promise<string> | undefined;
  private readonly names = new Set<string>();

  /** @param root directory in which one is made, made itself where it is not there */
  public constructor(private readonly root: string) {}

  /** {@inheritDoc Spill.append} */
  public async append(name: string, lines: readonly string[]): Promise<void> {
    this.directory ??= this.make();
    this.names.add(name);
    await appendFile(join(await this.directory, name), lines.map((line) => `${line}\n`).join(''));
  }

  /** {@inheritDoc Spill.read} */
  public async read(name: string): Promise<string[]> {
    if (!this.directory || !this.names.has(name)) return [];
    const content = await readFile(join(await this.directory, name), 'utf8');
    return content === '' ? [] : content.trimEnd().split('\n');
  }

  /** {@inheritDoc Spill.clear} */
  public async clear(): Promise<void> {
    const { directory } = this;
    this.directory = undefined;
    this.names.clear();
    if (directory) await rm(await directory, { recursive: true, force: true });
  }

  private async make(): Promise<string> {
    await mkdir(this.root, { recursive: true });
    for (const name of await readdir(this.root)) {
      const owner = /^spill-(\d+)-/.exec(name)?.[1];
      if (owner !== undefined && !isRunning(Number(owner)))
        await rm(join(this.root, name), { recursive: true, force: true });
    }
    return mkdtemp(join(this.root, `spill-${process.pid}-`));
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user is there as well.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
