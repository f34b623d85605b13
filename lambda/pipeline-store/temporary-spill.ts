import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Spill } from '../data-pipeline/running/uniqueness';

/** Lists of lines in files of the function's own disk, for the time of one audit. */
export class TemporarySpill implements Spill {
  private directory: Promise<string> | undefined;
  private readonly names = new Set<string>();

  /** @param root directory in which one is made */
  public constructor(private readonly root: string) {}

  /** {@inheritDoc Spill.append} */
  public async append(name: string, lines: readonly string[]): Promise<void> {
    this.directory ??= mkdtemp(join(this.root, 'spill-'));
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
}
