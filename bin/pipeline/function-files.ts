import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** What is imported, exported from or required by a relative path. What only looks like it, as in a comment, does no harm. */
const RELATIVE_IMPORT = /\b(?:from|import|require)\s*(?:\(\s*)?(["'`])(\.{1,2}\/[^"'`\n]*)\1/g;

/**
 * The files of a user's function: its entry and what that imports by relative paths, directly or not, each once, in the order
 * in which they are named. Packages, and paths that are put together as the code runs, are not found.
 */
export function functionFiles(entry: string): string[] {
  const found = new Set([resolve(entry)]);
  // A set gives what is added to it while it is walked.
  for (const file of found) {
    for (const [, , specifier] of readFileSync(file, 'utf8').matchAll(RELATIVE_IMPORT)) {
      const imported = resolved(specifier!, file);
      if (imported !== undefined) found.add(imported);
    }
  }
  return [...found];
}

/** The file of a path as Node finds it: an `import` is an address, and `require` tries endings and `index`. */
function resolved(specifier: string, importer: string): string | undefined {
  try {
    const address = new URL(specifier, pathToFileURL(importer));
    address.search = address.hash = '';
    const file = fileURLToPath(address);
    return statSync(file, { throwIfNoEntry: false })?.isFile() ? file : createRequire(importer).resolve(specifier);
  } catch {
    return undefined;
  }
}
