#!/usr/bin/env node
/**
 * Bundles the run time when the package is built, so that nothing is bundled, installed or fetched at synth:
 * each lambda/handlers/*.ts to dist/handlers/<name>/index.mjs, and the programs of bin/ to dist/bin.
 */
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { thirdPartyLicences } from './third-party-licences.mjs';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** A handler's code is read and compiled at every cold start; beyond this size that shows in the first request. */
const MAX_HANDLER_BYTES = 300_000;

const SHARED = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  treeShaking: true,
  legalComments: 'none',
  logLevel: 'warning',
  loader: { '.lua': 'text' },
  // The SDK's ES modules shake to 373 kB for DynamoDB, its CommonJS files to 513 kB (measured at 3.1164).
  mainFields: ['module', 'main'],
};

/** In Lambda, credentials come from the environment; the SDK's chain of eight other sources would be dead weight. */
const CREDENTIALS_FROM_ENVIRONMENT = {
  '@aws-sdk/credential-provider-node': join(ROOT, 'lambda/security/environment-credentials.ts'),
};

/** CommonJS inside an ES module asks for Node's own modules with `require`, which an ES module lacks. */
const REQUIRE_FOR_COMMONJS = [
  "import { createRequire as __createRequire } from 'node:module';",
  'const require = __createRequire(import.meta.url);',
].join('\n');

/** Bundles every handler, each to its own folder, and refuses one that has grown too large. */
export async function bundleHandlers(outdir = join(ROOT, 'dist/handlers')) {
  const source = join(ROOT, 'lambda/handlers');
  const names = readdirSync(source)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => basename(file, '.ts'));
  const sizes = await Promise.all(names.map((name) => bundleHandler(join(source, `${name}.ts`), join(outdir, name))));
  // What has no source any more goes; what has one was replaced in place, under whoever runs it.
  for (const folder of readdirSync(outdir)) {
    if (!names.includes(folder)) rmSync(join(outdir, folder), { recursive: true });
  }
  const tooLarge = sizes.filter(({ bytes }) => bytes > MAX_HANDLER_BYTES);
  if (tooLarge.length > 0) {
    const lines = tooLarge.map(({ path, bytes }) => `  ${path}: ${bytes} bytes`);
    throw new Error(
      [`a handler bundle must be at most ${MAX_HANDLER_BYTES} bytes; trim what it imports:`, ...lines].join('\n'),
    );
  }
  return sizes;
}

async function bundleHandler(entry, outdir) {
  const outfile = join(outdir, 'index.mjs');
  const options = {
    ...SHARED,
    entryPoints: [entry],
    outfile,
    format: 'esm',
    target: 'node24',
    minify: true,
    // For readable stack traces: names and lines. Node parses a map at import; the sources in it would double that.
    sourcemap: 'linked',
    sourcesContent: false,
    alias: CREDENTIALS_FROM_ENVIRONMENT,
    metafile: true,
  };
  const { metafile } = await build({ ...options, write: false });
  const hasCommonJs = Object.values(metafile.inputs).some((input) => input.format === 'cjs');
  await build({ ...options, ...(hasCommonJs && { banner: { js: REQUIRE_FOR_COMMONJS } }) });
  return { path: relative(ROOT, outfile), bytes: statSync(outfile).size, inputs: Object.keys(metafile.inputs) };
}

/** What the programs of bin/ find beside them in the package, or in the user's project. */
const PROGRAMS = [
  { entry: 'bin/cli.ts', external: ['aws-cdk-lib', 'constructs'] },
  { entry: 'bin/reference.ts', external: ['aws-cdk-lib', 'constructs', 'cdk-nag'] },
];

/** Bundles the programs that exist to dist/bin. They load lib/ as jsii compiled it, not a second copy of it. */
export async function bundlePrograms(outdir = join(ROOT, 'dist/bin')) {
  const present = PROGRAMS.filter(({ entry }) => existsSync(join(ROOT, entry)));
  return Promise.all(present.map((program) => bundleProgram(program, outdir)));
}

async function bundleProgram({ entry, external }, outdir) {
  const outfile = join(outdir, `${basename(entry, '.ts')}.js`);
  const { metafile } = await build({
    ...SHARED,
    metafile: true,
    entryPoints: [join(ROOT, entry)],
    outfile,
    format: 'cjs',
    target: 'node20',
    // CommonJS has no import.meta; a program that asks where it stands gets its own address all the same.
    define: { 'import.meta.url': '__moduleUrl' },
    banner: { js: "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    external: external.flatMap((name) => [name, `${name}/*`]),
    plugins: [compiledLibrary(outdir)],
  });
  return { path: relative(ROOT, outfile), bytes: statSync(outfile).size, inputs: Object.keys(metafile.inputs) };
}

/** Leaves each import that leads into lib/ to the compiled file in dist/lib. */
function compiledLibrary(outdir) {
  const library = join(ROOT, 'lib');
  return {
    name: 'compiled-library',
    setup(plugins) {
      plugins.onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir }) => {
        const target = resolve(resolveDir, path);
        if (target !== library && !target.startsWith(library + sep)) return undefined;
        const fromPackage = relative(
          ROOT,
          statSync(target, { throwIfNoEntry: false })?.isDirectory() ? join(target, 'index') : target,
        );
        const compiled = relative(outdir, join(ROOT, 'dist', fromPackage))
          .split(sep)
          .join('/');
        return { path: `${compiled}.js`, external: true };
      });
    },
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const bundles = [...(await bundleHandlers()), ...(await bundlePrograms())];
  const inputs = bundles.flatMap((bundle) => bundle.inputs);
  writeFileSync(join(ROOT, 'dist/THIRD-PARTY-LICENSES.txt'), thirdPartyLicences(ROOT, inputs));
  for (const { path, bytes } of bundles) console.log(`${path}  ${(bytes / 1000).toFixed(1)} kB`);
}
