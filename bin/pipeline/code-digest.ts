import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf, sha256 } from '../../lambda/data-pipeline/digest';
import { functionFiles } from './function-files';

/**
 * Digest of the code that decides what a version holds: this program with the definition's checks, and the user's functions
 * with what they import by relative paths.
 *
 * @param functions entry files of the user's functions, by name
 */
export function codeDigest(functions: Readonly<Record<string, string>>): string {
  const program = fileURLToPath(import.meta.url);
  // The built program loads the checks of lib/ beside it.
  const checks = resolve(dirname(program), '../lib/policy/pipeline');
  const modules = existsSync(checks) ? readdirSync(checks).filter((name) => name.endsWith('.js')) : [];
  const files = [program, ...modules.sort().map((name) => join(checks, name))];
  const named = Object.entries(functions).sort(([one], [other]) => (one < other ? -1 : 1));
  return digestOf([...digestsOf(files), ...named.map(([name, file]) => [name, ...digestsOf(functionFiles(file))])]);
}

function digestsOf(files: readonly string[]): string[] {
  return files.map((file) => sha256(readFileSync(file)));
}
