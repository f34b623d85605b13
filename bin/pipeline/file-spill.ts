import { appendFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Spill } from '../../lambda/data-pipeline/running/uniqueness';
import { isMissing } from './file-store';

/** Lists of lines as files of a directory, which is emptied at the start: what a run that was cut off left there is void. */
export class FileSpill implements Spill {
  private isReady = false;

  constructor(private readonly directory: string) {}

  /** {@inheritDoc Spill.append} */
  public async append(name: string, lines: readonly string[]): Promise<void> {
    if (!this.isReady) {
      await this.clear();
      await mkdir(this.directory, { recursive: true });
      this.isReady = true;
    }
    await appendFile(join(this.directory, name), lines.map((line) => `${line}\n`).join(''));
  }

  /** {@inheritDoc Spill.read} */
  public async read(name: string): Promise<string[]> {
    if (!this.isReady) return [];
    try {
      const content = await readFile(join(this.directory, name), 'utf8');
      return content === '' ? [] : content.trimEnd().split('\n');
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** {@inheritDoc Spill.clear} */
  public async clear(): Promise<void> {
    this.isReady = false;
    await rm(this.directory, { recursive: true, force: true });
  }
}
