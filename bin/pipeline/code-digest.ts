import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf, sha256 } from '../../lambda/data-pipeline/digest';

/**
 * Digest of the code that decides what a version holds: this program with the definition's checks, and the user's functions.
 *
 * @param functions files of the user's functions
 */
export function codeDigest(functions: readonly string[]): string {
  const program = fileURLToPath(import.meta.url);
  // The built program loads the checks of lib/ beside it.
  const checks = resolve(dirname(program), '../lib/policy/pipeline');
  const modules = existsSync(checks) ? readdirSync(checks).filter((name) => name.endsWith('.js')) : [];
  const files = [program, ...modules.sort().map((name) => join(checks, name)), ...functions];
  return digestOf(files.map((file) => sha256(readFileSync(file))));
}
