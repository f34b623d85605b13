import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { environmentWithoutAws } from '../rehearsal/without-aws';

const ROOT = resolve(import.meta.dirname, '..', '..');
const CLI = join(ROOT, 'node_modules', 'aws-cdk', 'bin', 'cdk');

export interface Synthesis {
  readonly status: number | null;
  /** What a user would have read, on either stream. */
  readonly output: string;
}

/** The reference app as `npx cdk synth` makes it: with the validation of every template, and no credentials. */
export function synthesiseReference(profile: string, folder: string): Synthesis {
  return run(CLI, ['synth', '--quiet', '--no-notices', '--context', `profile=${profile}`, '--output', folder]);
}

/** Every app of examples/, each to a folder of its own. */
export function synthesiseExamples(folder: string): Synthesis {
  return run(join(ROOT, 'examples', 'synthesise.mjs'), [folder]);
}

/** All templates below a folder, nested stacks' among them. */
export function templatesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.template.json'))
    .map((file) => join(folder, file));
}

function run(program: string, args: string[]): Synthesis {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: ROOT,
    env: environmentWithoutAws(),
    encoding: 'utf8',
    timeout: 420_000,
  });
  return { status, output: stdout + stderr };
}
